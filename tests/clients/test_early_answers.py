"""Answers that are sent before the request was read: each has CORS headers, a request id, a cause and a line in the log.

A web page can read an answer only if the answer has CORS headers, and an operator can find its cause only in the log. So
the server needs the origin, the method and the path of requests that it cannot read any further.
"""

import json
import re

import pytest

from raw_http import CHAT, HOST, JSON, TE, Wire, chunked, get, post
from support import make_key, running_server, wait_until

ALLOWED = b"https://chat.example"
CHAT_PATH = "/v1/chat/completions"
LIVE = b"GET /v1/health/live HTTP/1.1"
LENGTH = b"Content-Length: %d\r\n" % len(CHAT)
LIMITS = ("--max-body-size", "1024", "--max-header-size", "16384", "--allowed-hosts", "solard.example")


def chat(framing, body=b"", host=HOST, kind=JSON, verb=b"POST"):
    """Returns (a function that adds fields to a chat request, its method, its path)."""
    line = verb + b" /v1/chat/completions HTTP/1.1"
    return lambda fields: post(framing, body, host + fields + kind, line), verb.decode(), CHAT_PATH


def live(before=b"", after=b"", line=LIVE, host=HOST, method="GET", path="/v1/health/live"):
    """Returns (a function that adds fields to a request without a body, its method, its path)."""
    return lambda fields: get(host + before + fields + after, line), method, path


# (status, (function that makes the request, method, path), a part of the message)
EARLY = {
    "body too large by its length": (413, chat(b"Content-Length: 1025\r\n"), "larger than 1024 bytes"),
    "body too large by its length, with Expect": (
        413, chat(b"Content-Length: 1025\r\nExpect: 100-continue\r\n"), "larger than 1024 bytes",
    ),
    "body too large in chunks": (413, chat(TE, chunked(b"x" * 1025)), "larger than 1024 bytes"),
    "too many fields": (431, live(after=b"X-A: b\r\n" * 100), "more than 100 fields"),
    "header too large": (431, live(after=b"X-A: " + b"b" * 20_000 + b"\r\n"), "larger than the limit of 16384"),
    "header without an end": (
        431, (lambda fields: get(HOST + fields + b"X-A: b\r\n" * 2500)[:-2], "GET", "/v1/health/live"), "limit of 16384",
    ),
    "target too long": (
        431, live(line=b"GET /%s HTTP/1.1" % (b"x" * 9000), path="/" + "x" * 196 + "..."), "longer than 8 KiB",
    ),
    "no version": (400, live(line=b"GET /v1/health/live"), "the request line has no HTTP version"),
    "no target": (400, live(line=b"GET", path="-"), "no target and no HTTP version"),
    "unknown version": (400, live(line=b"GET /v1/health/live HTTP/3.0"), "must be HTTP/1.1 or HTTP/1.0"),
    "unknown version of HEAD": (400, live(line=b"HEAD /v1/health/live HTTP/3.0", method="HEAD"), ""),
    "target of two words": (400, live(line=b"GET /v1/health/live x HTTP/1.1"), "separated by single spaces"),
    "control character in the target": (400, live(line=b"GET /v1/health/live\x01 HTTP/1.1"), "0x01 (byte 19 of the header)"),
    "control character in the method": (
        400, live(line=b"G\x01T /v1/health/live HTTP/1.1", method="-", path="-"), "0x01 (byte 1 of the header)",
    ),
    "absolute target of another host": (400, live(line=b"GET http://b/v1/health/live HTTP/1.1"), "name different hosts"),
    "field without a colon": (400, live(after=b"X-A\r\n"), "has no colon"),
    "bad field before the origin": (400, live(before=b"X-A\r\n"), "has no colon"),
    "name with a space": (400, live(after=b"X A: b\r\n"), "contains the byte 0x20"),
    "folded line": (400, live(after=b"X-A: b\r\n c\r\n"), "begins with a blank"),
    "NUL in a value": (400, live(after=b"X-A: b\0\r\n"), "the header 'X-A' contains the byte 0x00"),
    "no Host": (400, live(host=b""), "the header 'Host' is missing"),
    "two Hosts": (400, live(after=HOST), "the header 'Host' must not be repeated"),
    "invalid Host": (400, live(host=b"Host: a@b\r\n"), "the header 'Host' must be"),
    "invalid Connection": (400, live(after=b"Connection: a b\r\n"), "the header 'Connection' must be"),
    "invalid length": (400, chat(b"Content-Length: x\r\n"), "the header 'Content-Length' must be a whole number"),
    "length beyond 64 bits": (400, chat(b"Content-Length: 99999999999999999999\r\n"), "below 2^64"),
    "two framings": (400, chat(LENGTH + TE), "only one header 'Content-Length' or 'Transfer-Encoding'"),
    "unknown coding": (400, chat(b"Transfer-Encoding: gzip, chunked\r\n"), "must be 'chunked'"),
    "bad chunk": (400, chat(TE, b"x\r\n"), "its size in hexadecimal digits"),
    "chunk extension": (400, chat(TE, b"1;a=b\r\n{\r\n0\r\n\r\n"), "chunk extensions are not supported"),
    "trailers": (400, chat(TE, b"1\r\n{\r\n0\r\nX-A: b\r\n\r\n"), "trailers"),
    "trailer that frames": (400, chat(TE, b"1\r\n{\r\n0\r\nContent-Length: x\r\n\r\n"), "trailers"),
    "trailer that is no field": (400, chat(TE, b"1\r\n{\r\n0\r\nX-A b\r\n\r\n"), "trailers"),
    "host that is not allowed": (403, chat(LENGTH, host=b"Host: evil.example\r\n"), "'evil.example' is not allowed"),
    "repeated key": (400, chat(b"api-key: a\r\napi-key: a\r\n" + LENGTH), "must not repeat"),
    "unknown method": (405, chat(LENGTH, verb=b"PUT"), "supports POST, not PUT"),
    "unknown path": (
        404, (lambda fields: post(LENGTH, b"", HOST + fields + JSON, b"POST /chat HTTP/1.1"), "POST", "/chat"), "no route",
    ),
    "type that is not JSON": (415, chat(LENGTH, kind=b"Content-Type: text/plain\r\n"), "application/json"),
    "coding of the content": (415, chat(LENGTH + b"Content-Encoding: gzip\r\n"), "Content-Encoding 'gzip'"),
}  # fmt: skip


@pytest.fixture(scope="module")
def early_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("early")
    with running_server(folder, "--allowed-origins", ALLOWED.decode(), *LIMITS) as server:
        yield server


def ask(server, data):
    """Returns (status, fields, body) of the answer. The names of the fields are in lower case."""
    wire = Wire(server)
    wire.send(data)
    answer = wire.answer(has_body=not data.startswith(b"HEAD"))
    assert answer, f"the server closed without an answer to {data[:200]!r}"
    fields = dict(line.split(": ", 1) for line in answer[1].decode().split("\r\n")[1:])
    return answer[0], {name.lower(): value for name, value in fields.items()}, answer[2]


def log_line(server, request_id):
    """Waits for the line of the request, and returns (method, path, status)."""
    line = wait_until(lambda: re.search(rf" {request_id} (\S+) (\S+) (\d+) \d+ ms\n", server.log()), "the line of the log")
    return line[1], line[2], int(line[3])


@pytest.mark.parametrize("kind", EARLY)
def test_early_answer_has_cors_headers_an_id_a_cause_and_a_line_in_the_log(early_server, kind):
    status, (request, method, path), cause = EARLY[kind]
    ids = set()
    for origin in (ALLOWED, b"https://evil.example", b"null", b"https://chat.example.evil", None):
        found, fields, body = ask(early_server, request(b"" if origin is None else b"Origin: %s\r\n" % origin))
        assert found == status, body
        if method == "HEAD":
            assert body == b""
        else:
            assert cause in json.loads(body)["error"]["message"]
        assert fields.get("access-control-allow-origin") == (ALLOWED.decode() if origin == ALLOWED else None)
        assert ("x-request-id" in fields.get("access-control-expose-headers", "")) == (origin == ALLOWED)
        assert fields["vary"] == "Origin"
        ids.add(fields["x-request-id"])
        assert log_line(early_server, fields["x-request-id"]) == (method, path, status)
    assert len(ids) == 5


def test_answer_to_two_origins_or_to_the_beginning_of_an_origin_has_no_cors_headers(early_server):
    origin = b"Origin: " + ALLOWED + b"\r\n"
    cut = get(HOST)[:-2] + b"X-A: " + b"b" * 16_300 + b"\r\nOrigin: " + ALLOWED  # the header exceeds its limit here
    for data, status in ((get(HOST + origin + origin), 400), (cut + b"x" * 100, 431), (get(HOST + b"X-A\r\n\r\n" + origin), 400)):
        found, fields, _ = ask(early_server, data)
        assert found == status
        assert "access-control-allow-origin" not in fields


def test_origin_with_a_control_character_is_not_repeated_if_every_origin_is_allowed(start_server):
    with start_server("--allowed-origins", "*") as server:
        _, fields, _ = ask(server, get(HOST + b"X-A\r\nOrigin: https://a.example\r\n"))
        assert fields["access-control-allow-origin"] == "https://a.example"
        for origin in (b"https://a\r.example", b"https://a\n.example", b"https://a\0", b"null", b""):
            _, fields, _ = ask(server, get(HOST + b"X-A\r\nOrigin: " + origin + b"\r\n"))
            assert "access-control-allow-origin" not in fields, origin


def test_request_without_a_valid_key_is_answered_early_too(tmp_path, start_server):
    key = make_key(tmp_path / "keys", "alice")
    flags = ("--api-key-file", str(tmp_path / "keys"), "--allowed-origins", ALLOWED.decode())
    with start_server(*flags, api_key=key) as server:
        for origin in (ALLOWED, b"https://evil.example"):
            status, fields, _ = ask(server, chat(LENGTH)[0](b"Origin: %s\r\n" % origin))
            assert status == 401
            assert ("access-control-allow-origin" in fields) == (origin == ALLOWED)
            assert log_line(server, fields["x-request-id"]) == ("POST", CHAT_PATH, 401)


def test_refused_upgrade_to_a_websocket_is_answered_early_too(early_server):
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 8\r\n"
    for origin, expected in ((ALLOWED, 426), (b"https://evil.example", 403), (b"null", 403)):
        request = get(HOST + upgrade + b"Origin: %s\r\n" % origin, b"GET /v1/responses HTTP/1.1")
        status, fields, _ = ask(early_server, request)
        assert status == expected
        assert ("access-control-allow-origin" in fields) == (origin == ALLOWED)
        assert log_line(early_server, fields["x-request-id"]) == ("GET", "/v1/responses", expected)
