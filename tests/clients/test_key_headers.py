"""API keys in the headers Authorization, x-api-key and api-key, and in subprotocols, over a raw socket."""

import itertools
import json
import re

import pytest

from raw_http import CHAT, HOST, JSON, Wire, get, post
from support import ROOT, make_key, running_server

FORMS = {"Authorization": b"Authorization: Bearer ", "x-api-key": b"X-API-Key: ", "api-key": b"api-key: "}
MODELS = b"GET /v1/models HTTP/1.1"
SOCKET = b"GET /v1/responses HTTP/1.1"
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
OFFER = b"Sec-WebSocket-Protocol: solar.responses.v1, openai-insecure-api-key."


def field(form, key):
    return FORMS[form] + key + b"\r\n"


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """Returns (server at log level debug with two keys, the first key, the second key)."""
    folder = tmp_path_factory.mktemp("keys")
    keys = [make_key(folder / "keys", name) for name in ("alice", "bob")]
    flags = ("--api-key-file", str(folder / "keys"), "--log-level", "debug", "--allowed-origins", "https://chat.example")
    with running_server(folder, *flags, api_key=keys[0]) as server:
        yield server, keys[0].encode(), keys[1].encode()


def ask(server, data):
    """Returns (status, head, error code or none, message or none); errors of Messages have a type instead of a code."""
    wire = Wire(server)
    wire.send(data)
    status, head, body = wire.answer()
    if status < 400:
        return status, head, None, None
    whole = json.loads(body)
    error = whole["error"]
    assert ("code" in error) != (whole.get("type") == "error")
    return status, head, error.get("code", error["type"]), error["message"]


def keyed_routes():
    """Yields (verb, path) of each route of the server that needs a key."""
    table = re.findall(r'Route\{"(\w+)", "([^"]+)", &[\w<>]+(, Access::anyone)?', (ROOT / "server/routes.cpp").read_text())
    return [(verb.encode(), path.replace("*", "x").encode()) for verb, path, anyone in table if not anyone]


@pytest.mark.parametrize("form", FORMS)
def test_repeated_header_is_refused_on_every_route_that_needs_a_key(closed, form):
    server, alice, bob = closed
    routes = keyed_routes()
    assert len(routes) > 15
    for verb, path in routes:
        line = verb + b" " + path + b" HTTP/1.1"
        upgrade = UPGRADE if path == b"/v1/responses" and verb == b"GET" else b""
        length = b"Content-Length: 0\r\n" if verb == b"POST" else b""
        of_messages = path.startswith(b"/v1/messages")
        repeated = "invalid_request_error" if of_messages else "invalid_value"
        wrong = "authentication_error" if of_messages else "invalid_api_key"
        for second in (alice, bob, b"wrong", b""):
            twice = field(form, alice) + field(form, second)
            status, _, code, message = ask(server, get(HOST + JSON + length + upgrade + twice, line))
            assert (status, code) == (400, repeated), line
            assert message.startswith("The request must not repeat the headers"), line
        status, _, code, _ = ask(server, get(HOST + JSON + length + upgrade + field(form, b"wrong"), line))
        assert (status, code) == (401, wrong), line


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(FORMS, 2)))
def test_two_headers_must_name_the_same_key(closed, first, second):
    server, alice, bob = closed
    chat = b"Content-Length: %d\r\n" % len(CHAT)

    def statuses(one, other):
        fields = field(first, one) + field(second, other)
        yield ask(server, get(HOST + fields, MODELS))
        yield ask(server, post(chat + fields))
        wire = Wire(server)
        wire.send(get(HOST + UPGRADE + fields, SOCKET))
        status, head, body = wire.answer()
        yield status, head, None, json.loads(body)["error"]["message"] if body else None

    assert [found[0] for found in statuses(alice, alice)] == [200, 200, 101]
    for found in statuses(alice, bob):
        assert found[0] == 401
        assert "name different keys" in found[3]
    for found in (*statuses(alice, b"wrong"), *statuses(b"wrong", alice)):
        assert found[0] == 401
        assert "missing or wrong" in found[3]


@pytest.mark.parametrize("form", FORMS)
def test_key_in_a_subprotocol_must_be_that_of_the_header(closed, form):
    server, alice, bob = closed

    def status(key, offered):
        wire = Wire(server)
        wire.send(get(HOST + UPGRADE + field(form, key) + OFFER + offered + b"\r\n", SOCKET))
        return wire.answer()[0]

    assert status(alice, alice) == 101
    assert {status(alice, bob), status(bob, alice), status(alice, b"wrong"), status(b"wrong", alice)} == {401}


def test_keys_are_neither_logged_nor_repeated_in_errors(closed):
    server, *keys = closed
    refused = 0
    for key in (*keys, b"wrong-" + keys[0][3:]):
        secrets = [prefix + key for prefix in FORMS.values()] + [OFFER + key, b"Cookie: key=" + key]
        requests = [get(HOST + b"Authorization: Basic " + key + b"\r\n", MODELS)]
        for secret in secrets:
            line = secret + b"\r\n"
            requests += [
                get(HOST + line, MODELS),
                get(HOST + line + line, MODELS),
                get(HOST + line, b"GET /v1/nothing HTTP/1.1"),
                get(HOST + line, MODELS.replace(b"/v1/models", b"/v1/models?key=" + key)),
                get(HOST + UPGRADE.replace(b"13", b"8") + line, SOCKET),
                get(HOST + UPGRADE.replace(b"==", b"") + line, SOCKET),
                # Headers that are not valid, before, in and after the field with the key.
                get(line + b"X-A\r\n", MODELS),
                get(HOST + b"X-A\r\n" + line, MODELS),
                get(HOST + secret + b"\0\r\n", MODELS),
                get(HOST + secret.replace(b": ", b" : ") + b"\r\n", MODELS),
                get(HOST + secret.replace(b": ", b" ") + b"\r\n", MODELS),
                get(HOST + secret.replace(b": ", b":\r\n ") + b"\r\n", MODELS),
                get(HOST + secret.replace(b": ", b":\n") + b"\r\n", MODELS),
                get(HOST + line, b"GET /v1/models"),
                get(HOST + line + b"X-A: " + b"b" * 17_000 + b"\r\n", MODELS),
                get(HOST + line + b"X-A: b\r\n" * 100, MODELS),
                post(b"Content-Length: x\r\n" + line),
                post(b"Content-Length: 99999999\r\n" + line),
                post(b"Content-Length: 3\r\n" + line, b"{x}"),
                post(b"Content-Length: 2\r\nContent-Encoding: gzip\r\n" + line, b"{}"),
            ]
        for request in requests:
            wire = Wire(server)
            wire.send(request)
            answer = wire.answer()
            assert answer, request
            refused += answer[0] >= 400
            assert key[3:] not in answer[1] + answer[2], request
    assert refused > 200
    log = server.log()
    assert log.count(" ms\n") > refused
    for key in keys:
        assert key[3:].decode() not in log


def test_headers_with_keys_are_allowed_in_a_preflight_of_an_allowed_origin_only(closed):
    server = closed[0]
    for path, form in itertools.product((b"/v1/models", b"/v1/chat/completions"), FORMS):
        asked = b"Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: %s\r\n" % form.lower().encode()
        for origin in (b"https://chat.example", b"https://evil.example", b"null"):
            wire = Wire(server)
            wire.send(get(HOST + asked + b"Origin: " + origin + b"\r\n", b"OPTIONS " + path + b" HTTP/1.1"))
            status, head, _ = wire.answer()
            if origin == b"https://chat.example":
                assert status == 204
                allowed = re.search(rb"(?i)access-control-allow-headers: (.*)\r\n", head)[1]
                assert form.lower().encode() in allowed.lower().split(b", ")
            else:
                assert status == 405
                assert b"access-control" not in head.lower()
