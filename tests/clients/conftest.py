import pytest

from endless_model import write_endless_model
from support import running_server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """solard on its default, the demonstration model."""
    with running_server(tmp_path_factory.mktemp("server")) as running:
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
