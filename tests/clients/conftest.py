import os
import sys

import pytest

from endless_model import write_endless_model
from support import running_server

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else LiteLLM asks the network for prices when it is imported

asked_outside = []  # names and addresses beyond this machine that something here wanted to reach


def refuse_the_network(event, arguments):
    """An audit hook: a client library that phones home, be it from a thread of its own, must not get through."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):  # of a Unix socket it is a path
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in (None, "localhost", "127.0.0.1", "::1"):
        asked_outside.append(host)
        raise ConnectionRefusedError(f"a test wanted to reach {host}")


sys.addaudithook(refuse_the_network)


@pytest.fixture(autouse=True)
def no_network():
    yield
    assert not asked_outside, "no client may reach beyond this machine"


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """solard on its default, the demonstration model; SOLARD_TEST_DEVICE=cuda runs it on the GPU."""
    device = os.environ.get("SOLARD_TEST_DEVICE", "cpu")
    with running_server(tmp_path_factory.mktemp("server"), "--device", device) as running:
        yield running


@pytest.fixture(scope="session")
def endless_model(tmp_path_factory):
    return write_endless_model(tmp_path_factory.mktemp("endless"))


@pytest.fixture(scope="session")
def endless_server(tmp_path_factory, endless_model):
    """solard on a model whose answers run until max_tokens, for tests of stopping."""
    with running_server(tmp_path_factory.mktemp("endless-server"), "--model", str(endless_model)) as running:
        yield running


@pytest.fixture
def start_server(tmp_path):
    """For tests that need flags of their own: `with start_server("--drain-timeout", "1") as server`."""
    return lambda *flags, api_key=None: running_server(tmp_path, *flags, api_key=api_key)


def pytest_sessionfinish(session, exitstatus):
    """A run with a skip in it ends with 77, so that ctest reports its file as skipped and never as passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and reporter.stats.get("skipped"):
        session.exitstatus = 77
