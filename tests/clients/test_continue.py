"""Runs continue/test_continue.mjs: the adapters of the editor extension Continue with the real server."""

import pathlib

from support import run_node_tests


def test_continue(server):
    folder = pathlib.Path(__file__).parent / "continue"
    run_node_tests(folder, "test_continue.mjs", {"SOLARD_BASE_URL": server.base_url, "SOLARD_MODEL": server.model})
