"""No error and no log line repeats more than 200 bytes of what a client sent.

The paths and the fields come from openapi.json. A path, a header, a field's value and a field's name are each tried with
7,000 characters.
"""

import json
import re
import socket
import sys

import pytest

from support import DEADLINE, ROOT, running_server

sys.path.insert(0, str(ROOT / "tests/websocket"))
from frames import TEXT, encode  # noqa: E402

DOCUMENT = json.loads((ROOT / "server/api/openapi.json").read_text())
LONG = "Q" * 7000
SMALLEST_BODY = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1},
    "/v1/chat/completions/render": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"prompt": "Hi", "max_tokens": 1},
    "/v1/responses": {"input": "Hi", "max_output_tokens": 1},
    "/v1/responses/input_tokens": {"input": "Hi"},
    "/tokenize": {"prompt": "Hi"},
    "/detokenize": {"tokens": [1]},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server whose log contains only the requests of this file."""
    with running_server(tmp_path_factory.mktemp("echoes")) as running:
        yield running


def request(method, path, body=None, fields=()):
    data = json.dumps(body).encode() if body is not None else b""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *fields]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join([*lines, "", ""]).encode() + data


def exchange(server, data):
    """Sends the bytes and returns everything that the server answers."""
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        answer = b""
        while more := client.recv(1 << 16):
            answer += more
    return answer


def longest_echo(text):
    return max(map(len, re.findall("Q+", text)), default=0)


def check(server, data):
    """Checks an answer unless it is a success. There is no answer if generation has begun: a client that closes its
    sending side cancels its request."""
    answer = exchange(server, data).decode()
    if not answer.startswith("HTTP/1.1 2"):
        assert longest_echo(answer) <= 200, answer[:300]
        assert len(answer) < 2000, answer[:300]


def test_paths_and_methods(server):
    for path, methods in DOCUMENT["paths"].items():
        for target in {path.replace("{id}", LONG), path.replace("{id}", "x") + LONG, path + "/" + LONG}:
            for method in {*map(str.upper, methods), "PUT", LONG}:
                check(server, request(method, target, {} if method == "POST" else None))
    for path in ("/", "/assets/", "/%51" + LONG + "?"):
        check(server, request("GET", path + LONG))


def test_headers(server):
    for name in ("Host", "Origin", "Authorization", "Expect", "Content-Type", "Transfer-Encoding", "Connection", "Upgrade", LONG):
        for target in ("/tokenize", "/v1/models"):
            check(server, f"POST {target} HTTP/1.1\r\nHost: localhost\r\n{name}: {LONG}\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    check(server, request("GET", "/v1/responses", fields=("Connection: Upgrade", "Upgrade: websocket", "Origin: http://" + LONG)))
    check(server, request("GET", "/v1/responses", fields=("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: " + LONG)))


def properties(path):
    """Returns the names of the fields of a route's body."""
    schema = DOCUMENT["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    names = set()

    def collect(part):
        if "$ref" in part:
            collect(DOCUMENT["components"]["schemas"][part["$ref"].rsplit("/", 1)[1]])
        names.update(part.get("properties", {}))
        for key in ("allOf", "anyOf", "oneOf"):
            for option in part.get(key, []):
                collect(option)

    collect(schema)
    return names


@pytest.mark.parametrize("path", SMALLEST_BODY)
def test_fields(server, path):
    names = properties(path)
    assert len(names) > 1
    for name in {*names, LONG}:
        for value in (LONG, [LONG], [[LONG]], {LONG: LONG}, [{LONG: LONG}], {"type": LONG}, [{"role": LONG, "type": LONG, "content": "Hi"}],
                      [{"role": "user", "content": [{"type": LONG, "text": LONG}]}]):  # fmt: skip
            check(server, request("POST", path, SMALLEST_BODY[path] | {name: value}))
    check(server, request("POST", path, SMALLEST_BODY[path] | {"model": LONG}))
    twice = json.dumps(SMALLEST_BODY[path])[:-1] + f', "{LONG}": 1, "{LONG}": 2}}'
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(twice)}\r\n\r\n"
    check(server, (head + twice).encode())


def test_messages_of_a_websocket(server):
    create = {"type": "response.create", "input": "Hi", "max_output_tokens": 1}
    messages = [
        {"type": LONG}, {LONG: LONG}, create | {"stream_id": LONG}, create | {"event_id": LONG}, create | {"model": LONG},
        create | {"previous_response_id": LONG}, create | {"input": [{"type": LONG}]}, create | {"solar": {LONG: 1, "idempotency_key": LONG}},
        create | {"truncation": LONG}, create | {"include": [LONG]}, {"type": "response.cancel", "response_id": LONG},
        {"type": "solar:attach", "response_id": LONG}, {"type": "solar:detach", "response_id": LONG}, {"type": "solar:ping", "t": [LONG]},
    ]  # fmt: skip
    upgrade = (
        b"GET /v1/responses HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: solar.responses.v1\r\n\r\n"
    )
    for message in messages:
        with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as client:
            client.sendall(upgrade)
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += client.recv(1 << 16)
            client.sendall(encode(TEXT, json.dumps(message).encode()))
            while b'{"type":"error"' not in answer:
                more = client.recv(1 << 16)
                assert more, message
                answer += more
            assert longest_echo(answer.decode(errors="replace")) <= 200, message


def test_the_log(server):
    """Runs last: the tests above have filled the log."""
    server.terminate()
    log = server.log()
    assert len(log.splitlines()) > 500
    assert longest_echo(log) <= 200
