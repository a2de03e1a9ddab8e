"""Runs test_openai_node.mjs: two major versions of the openai package for node with the real server."""

import pathlib

import pytest

from support import node_version, run_node_tests, running_server


@pytest.fixture(scope="module")
def one_at_a_time(tmp_path_factory, endless_model):
    flags = ("--model", str(endless_model), "--max-num-seqs", "1", "--max-queued-requests", "0")
    with running_server(tmp_path_factory.mktemp("one"), *flags) as running:
        yield running


@pytest.mark.parametrize("package", ["openai", "openai7"])
def test_openai_node(server, endless_server, one_at_a_time, package):
    if package == "openai7" and node_version() < 20:
        pytest.skip("openai 7 needs node 20 or newer")
    run_node_tests(
        pathlib.Path(__file__).parent,
        "test_openai_node.mjs",
        {
            "SOLARD_OPENAI_PACKAGE": package,
            "SOLARD_BASE_URL": server.base_url,
            "SOLARD_ENDLESS_URL": endless_server.base_url,
            "SOLARD_ONE_AT_A_TIME_URL": one_at_a_time.base_url,
            "SOLARD_MODEL": server.model,
        },
    )
