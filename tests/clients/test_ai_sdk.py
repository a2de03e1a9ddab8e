"""Runs test_ai_sdk.mjs: the AI SDK for node with the real server."""

import pathlib

from support import run_node_tests


def test_ai_sdk(server, endless_server):
    run_node_tests(
        pathlib.Path(__file__).parent,
        "test_ai_sdk.mjs",
        {
            "SOLARD_BASE_URL": server.base_url,
            "SOLARD_ENDLESS_URL": endless_server.base_url,
            "SOLARD_ENDLESS_MODEL": endless_server.model,
            "SOLARD_MODEL": server.model,
        },
    )
