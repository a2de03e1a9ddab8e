"""Runs test_responses_node.mjs: clients for node with /v1/responses."""

import pathlib

from support import run_node_tests


def test_responses_node(server):
    run_node_tests(
        pathlib.Path(__file__).parent,
        "test_responses_node.mjs",
        {"SOLARD_BASE_URL": server.base_url, "SOLARD_MODEL": server.model},
    )
