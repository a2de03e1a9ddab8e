"""A client that disconnects: its sequence is cancelled and its blocks are freed, even before any answer was written.

The tests watch the engine's counters in /v1/metadata. The requested answers would take thousands of steps.
"""

import json
import socket
import struct

import pytest

from support import wait_until

MAX_TOKENS = 3500


def request(server, stream):
    body = json.dumps(
        {
            "messages": [{"role": "user", "content": "Go on."}],
            "temperature": 0,
            "max_tokens": MAX_TOKENS,
            "stream": stream,
        }
    ).encode()
    client = socket.create_connection(("127.0.0.1", server.port))
    client.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        + f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return client


def close(client):
    client.close()


def shut_down(client):
    """Sends a FIN but keeps the socket open; the server takes this for a disconnect."""
    client.shutdown(socket.SHUT_WR)


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


@pytest.mark.parametrize("leave", [close, shut_down, reset])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_disconnect_frees_the_sequence(endless_server, stream, leave):
    endless_server.wait_until_idle()
    before = endless_server.engine()["generated_tokens"]
    client = request(endless_server, stream)
    with client:
        if stream:
            received = b""
            while b"data: " not in received:
                received += client.recv(4096)
        else:
            wait_until(lambda: endless_server.engine()["generated_tokens"] > before, "the first token")
        assert endless_server.engine()["num_running"] == 1
        leave(client)
        endless_server.wait_until_idle()
    assert endless_server.engine()["generated_tokens"] - before < MAX_TOKENS


def test_five_disconnects_leave_the_sixth_client_running(endless_server):
    endless_server.wait_until_idle()
    staying, *leaving = [request(endless_server, True) for _ in range(6)]
    wait_until(lambda: endless_server.engine()["num_running"] == 6, "six running sequences")
    for client in leaving:
        reset(client)
    wait_until(lambda: endless_server.engine()["num_running"] == 1, "one running sequence")
    with staying:
        assert staying.recv(65536)
        assert endless_server.engine()["num_running"] == 1
    endless_server.wait_until_idle()


def test_pipelined_bytes_are_not_taken_for_a_disconnect(endless_server):
    """Bytes after the request are the next request, not a disconnect."""
    endless_server.wait_until_idle()
    with request(endless_server, True) as client:
        wait_until(lambda: endless_server.engine()["num_running"] == 1, "the running sequence")
        client.sendall(b"GET /v1/health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        before = endless_server.engine()["generated_tokens"]
        wait_until(lambda: endless_server.engine()["generated_tokens"] > before + 20, "twenty more tokens")
        assert endless_server.engine()["num_running"] == 1
    endless_server.wait_until_idle()
