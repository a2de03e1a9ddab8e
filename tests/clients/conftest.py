import os
import sys

import pytest

from endless_model import write_endless_model
from support import running_server

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # otherwise LiteLLM fetches prices when it is imported

asked_outside = []  # names and addresses outside this machine that a test tried to reach


def refuse_the_network(event, arguments):
    """Refuses every connection that leaves this machine. An audit hook also sees a client library's own threads."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):  # for a Unix socket the address is a path
        host = arguments[1][0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host not in (None, "localhost", "127.0.0.1", "::1"):
        asked_outside.append(host)
        raise ConnectionRefusedError(f"a test tried to reach {host}; tests may use this machine only")


sys.addaudithook(refuse_the_network)


@pytest.fixture(autouse=True)
def no_network():
    yield
    assert not asked_outside, "a client tried to reach another machine"


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """A server with its default model, the demonstration model. SOLARD_TEST_DEVICE=cuda runs it on the GPU."""
    device = os.environ.get("SOLARD_TEST_DEVICE", "cpu")
    with running_server(tmp_path_factory.mktemp("server"), "--device", device) as running:
        yield running


@pytest.fixture(scope="session")
def endless_model(tmp_path_factory):
    return write_endless_model(tmp_path_factory.mktemp("endless"))


@pytest.fixture(scope="session")
def endless_server(tmp_path_factory, endless_model):
    """A server for tests of stopping: the answers of its model run until max_tokens."""
    with running_server(tmp_path_factory.mktemp("endless-server"), "--model", str(endless_model)) as running:
        yield running


@pytest.fixture
def start_server(tmp_path):
    """Starts a server with its own flags: `with start_server("--drain-timeout", "1") as server`."""
    return lambda *flags, api_key=None: running_server(tmp_path, *flags, api_key=api_key)


def pytest_sessionfinish(session, exitstatus):
    """Changes the exit status to 77 if a test was skipped: ctest then reports the file as skipped, not as passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) and reporter.stats.get("skipped"):
        session.exitstatus = 77
