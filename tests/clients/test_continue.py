"""Runs continue/test_continue.mjs: the adapters of the editor extension Continue with the real server."""

import pathlib

import pytest

from support import node_version, run_node_tests


def test_continue(server):
    if node_version() < 20:
        pytest.skip("Continue's adapters need node 20 or newer")
    folder = pathlib.Path(__file__).parent / "continue"
    run_node_tests(folder, "test_continue.mjs", {"SOLARD_BASE_URL": server.base_url, "SOLARD_MODEL": server.model})
