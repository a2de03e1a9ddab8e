"""Runs test_websocket_node.mjs: clients for node with the WebSocket of /v1/responses."""

import pathlib

from support import BINARY, free_port, make_key, run_node_tests


def test_websocket_node(server, endless_server, start_server, tmp_path):
    keys = tmp_path / "keys"
    secret = make_key(keys, "node")
    with start_server("--api-key-file", str(keys), api_key=secret) as locked:
        environment = {
            "SOLARD_BASE_URL": server.base_url,
            "SOLARD_ENDLESS_URL": endless_server.base_url,
            "SOLARD_LOCKED_URL": locked.base_url,
            "SOLARD_LOCKED_KEY": secret,
            "SOLARD_MODEL": server.model,
            "SOLARD_BINARY": str(BINARY),
            "SOLARD_PORTS": " ".join(str(free_port()) for _ in range(2)),
        }
        run_node_tests(pathlib.Path(__file__).parent, "test_websocket_node.mjs", environment)
