"""Runs test_openai_node.mjs: the openai package for node against the real server."""

import pathlib

from support import run_node_tests


def test_openai_node(server, endless_server):
    run_node_tests(
        pathlib.Path(__file__).parent,
        "test_openai_node.mjs",
        {
            "SOLARD_BASE_URL": server.base_url,
            "SOLARD_ENDLESS_URL": endless_server.base_url,
            "SOLARD_MODEL": server.model,
        },
    )
