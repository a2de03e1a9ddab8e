"""curl with the real server: the published snippet, the exact framing of a stream, the form of every error."""

import json
import os
import shutil
import subprocess

import pytest

from support import DEADLINE, require

require(shutil.which("curl"), "curl")

CHAT = {
    "messages": [{"role": "user", "content": "What is the capital of France?"}],
    "temperature": 0,
    "top_p": 1,
    "max_tokens": 64,
}


class Response:
    """The output of `curl -i`: status, headers (with lower-case names), raw body."""

    def __init__(self, printed):
        head, self.body = printed.split(b"\r\n\r\n", 1)
        while head.startswith((b"HTTP/1.1 100", b"HTTP/1.0 100")):
            head, self.body = self.body.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}

    def json(self):
        return json.loads(self.body)


def curl(server, path, *arguments):
    command = ["curl", "-sS", "-i", "--max-time", str(DEADLINE), *arguments, server.root_url + path]
    done = subprocess.run(command, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return Response(done.stdout)


def post(server, body, *arguments):
    data = body if isinstance(body, str) else json.dumps(body)
    return curl(server, "/v1/chat/completions", "-H", "Content-Type: application/json", "-d", data, *arguments)


def check_error(response, status, code, kind="invalid_request_error", param=None):
    assert response.status == status
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["x-request-id"]
    error = response.json()["error"]
    assert set(error) == {"object", "message", "type", "param", "code"}
    assert (error["object"], error["code"], error["type"], error["param"]) == ("error", code, kind, param)
    assert error["message"]
    return error["message"]


def test_snippet(server):
    response = post(server, {"model": server.model, **CHAT, "stream": False}, "-H", "Authorization: Bearer nothing")
    assert response.status == 200
    assert response.headers["content-type"].startswith("application/json")
    assert response.headers["x-request-id"]
    body = response.json()
    assert body["object"] == "chat.completion"
    (choice,) = body["choices"]
    assert choice["index"] == 0
    assert choice["message"]["role"] == "assistant"
    assert "Paris" in choice["message"]["content"]
    assert choice["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]


@pytest.mark.parametrize("include_usage", [False, True])
def test_snippet_streaming_byte_for_byte(server, include_usage):
    whole = post(server, {"model": server.model, **CHAT}).json()
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    response = post(server, {"model": server.model, **CHAT, "stream": True, **options}, "-N", "--compressed")
    assert response.status == 200
    assert response.headers["content-type"].split(";")[0] == "text/event-stream"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-request-id"]
    assert "content-encoding" not in response.headers, "compression would delay the stream's chunks"

    assert b"\r" not in response.body
    assert response.body.endswith(b"\n\ndata: [DONE]\n\n")
    *events, done, rest = response.body.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    assert all(event.startswith(b"data: {") and b"\n" not in event for event in events)
    chunks = [json.loads(event.removeprefix(b"data: ")) for event in events]

    for name, value in (("object", "chat.completion.chunk"), ("model", server.model)):
        assert {chunk[name] for chunk in chunks} == {value}
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    if include_usage:
        last = chunks.pop()
        assert last["choices"] == []
        assert last["usage"] == whole["usage"]
    assert all(not chunk.get("usage") for chunk in chunks)

    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert len(choices) == len(chunks)
    assert all("finish_reason" in choice and "delta" in choice for choice in choices)
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["stop"]
    first = choices[0]["delta"]
    assert first["role"] == "assistant" and first["content"], "the first chunk must hold both the role and text"
    assert all("role" not in choice["delta"] for choice in choices[1:])
    text = "".join(choice["delta"].get("content", "") for choice in choices)
    assert text == whole["choices"][0]["message"]["content"]


def test_unicode_is_the_same_whole_and_streamed(server):
    greeting = {**CHAT, "messages": [{"role": "user", "content": "Say hello in Korean."}]}
    whole = post(server, greeting).json()["choices"][0]["message"]["content"]
    assert not whole.isascii(), "the answer must hold text that is not ASCII"
    body = post(server, {**greeting, "stream": True}, "-N").body.decode()
    texts = [json.loads(line[6:])["choices"][0]["delta"].get("content", "") for line in body.split("\n\n")[:-2]]
    assert "".join(texts) == whole
    assert "\ufffd" not in whole


def test_logprobs_have_the_form_of_openais_api(server):
    body = post(server, {**CHAT, "max_tokens": 2, "logprobs": True, "top_logprobs": 1}).json()
    (choice,) = body["choices"]
    assert set(choice) == {"index", "message", "logprobs", "finish_reason", "stop_reason"}
    assert choice["stop_reason"] is None
    assert set(choice["logprobs"]) == {"content", "refusal"}
    assert choice["logprobs"]["refusal"] is None
    assert len(choice["logprobs"]["content"]) == 2
    for token in choice["logprobs"]["content"]:
        assert set(token) == {"token", "logprob", "bytes", "top_logprobs"}
        (other,) = token["top_logprobs"]
        assert other == {name: token[name] for name in ("token", "logprob", "bytes")}
        assert bytes(token["bytes"]).decode() == token["token"]


def test_extra_fields_of_load_clients_are_accepted(server):
    extensions = {"ignore_eos": True, "min_tokens": 5, "top_k": 1, "min_p": 0, "repetition_penalty": 1.0, "n": 1}
    extensions |= {"logprobs": None, "best_of": 1, "stop_token_ids": [], "logit_bias": {}, "priority": 0}
    assert post(server, {**CHAT, **extensions, "max_tokens": 20}).json()["usage"]["completion_tokens"] == 20
    check_error(post(server, {**CHAT, "best_of": 2}), 400, "unsupported_parameter", param="best_of")
    check_error(post(server, {**CHAT, "min_tokens": 65}), 400, "invalid_value", param="min_tokens")
    check_error(post(server, {**CHAT, "stop_token_ids": [1 << 30]}), 400, "invalid_value", param="stop_token_ids")
    check_error(post(server, '{"messages":[],"logit_bias":{"1":1,"1":2}}'), 400, "invalid_json", param="1")


def test_unknown_route_is_404_and_names_the_path(server):
    message = check_error(curl(server, "/v1/nothing"), 404, "not_found")
    assert "/v1/nothing" in message


def test_wrong_method_is_405_and_allow_names_the_right_ones(server):
    response = curl(server, "/v1/chat/completions")
    check_error(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"
    response = curl(server, "/v1/models", "-X", "DELETE")
    check_error(response, 405, "method_not_allowed")
    assert set(response.headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_only_json_is_accepted_as_content_type(server):
    for media_type in ("text/plain", "application/x-www-form-urlencoded", ""):
        arguments = ["-H", f"Content-Type: {media_type}", "-d", json.dumps(CHAT)]
        if not media_type:
            arguments[1] = "Content-Type:"  # makes curl send no Content-Type
        check_error(curl(server, "/v1/chat/completions", *arguments), 415, "unsupported_media_type")
    body = json.dumps(CHAT)
    header = "Content-Type: Application/JSON; charset=utf-8"
    assert curl(server, "/v1/chat/completions", "-H", header, "-d", body).status == 200


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", '{"messages": [}', '{"temperature": NaN}', '{"temperature": 1e999}', '"\\ud800"'],
)
def test_bad_json_is_refused(server, body):
    check_error(post(server, body), 400, "invalid_json")


def test_duplicate_json_key_is_refused(server):
    check_error(post(server, '{"stream": true, "stream": false}'), 400, "invalid_json", param="stream")


def test_invalid_utf8_is_refused(server, tmp_path):
    file = tmp_path / "body.json"
    file.write_bytes(json.dumps(CHAT).encode().replace(b"France", b"Fr\xffnce"))
    check_error(post(server, f"@{file}"), 400, "invalid_json")


def test_too_large_a_body_is_refused(server, tmp_path):
    file = tmp_path / "body.json"
    file.write_text(json.dumps({**CHAT, "user": "x" * (5 * 1024 * 1024)}))
    check_error(post(server, f"@{file}"), 413, "payload_too_large")
    check_error(post(server, f"@{file}", "-H", "Transfer-Encoding: chunked"), 413, "payload_too_large")


def test_too_large_a_header_is_refused(server):
    check_error(curl(server, "/health", "-H", "X-Padding: " + "x" * 20000), 431, "headers_too_large")


def test_unknown_model_and_unsupported_fields_are_refused_by_name(server):
    check_error(post(server, {**CHAT, "model": "gpt-none"}), 404, "model_not_found", param="model")
    check_error(post(server, {**CHAT, "temperature": -1}), 400, "invalid_value", param="temperature")
    check_error(post(server, {**CHAT, "guided_json": {"not": {}}}), 400, "invalid_value", param="guided_json")
    assert post(server, {**CHAT, "metadata": {"a": "b"}, "unheard_of": 1}).status == 200


def test_one_connection_serves_many_requests(server):
    """The connection stays open after an error, after a whole answer and after a stream."""
    chat = [server.base_url + "/chat/completions", "-H", "Content-Type: application/json", "-d"]
    requests = [
        [*chat, "{"],
        [*chat, json.dumps(CHAT)],
        [*chat, json.dumps({**CHAT, "stream": True})],
        [server.base_url + "/nothing"],
        [server.base_url + "/health/live"],
    ]
    command = ["curl"]
    for request in requests:
        command += ["-s", "-o", "/dev/null", "-w", "%{http_code} %{num_connects}\\n", *request, "--next"]
    done = subprocess.run(command[:-1], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["400 1", "200 0", "200 0", "404 0", "200 0"]


def test_models(server):
    body = curl(server, "/v1/models").json()
    assert body["object"] == "list"
    first = body["data"][0]
    assert (first["id"], first["object"], first["root"]) == (server.model, "model", server.model)
    assert curl(server, f"/v1/models/{server.model}").json()["id"] == server.model
    check_error(curl(server, "/v1/models/none"), 404, "model_not_found", param="model")


def test_health(server):
    for path in ("/health", "/v1/health/live", "/v1/health/ready"):
        assert curl(server, path).status == 200
    assert curl(server, "/v1/health/ready").json()["status"] == "ready"


def test_metadata(server):
    facts = curl(server, "/v1/metadata").json()
    assert facts["model"]["id"] == server.model
    assert facts["model"]["context_length"] == 4096
    assert facts["state"] == "ready"
    assert facts["device"].startswith(os.environ.get("SOLARD_TEST_DEVICE", "cpu"))
    assert facts["limits"]["temperature"] == [0, 2]
    assert facts["limits"]["n"] == [1, 8]
    assert facts["kv_cache"]["capacity_tokens"] >= 4096
    assert "What is the capital of France?" in facts["examples"] or len(facts["examples"]) >= 6


def test_page_has_security_headers_and_an_etag(server):
    page = curl(server, "/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "require-trusted-types-for 'script'"):
        assert rule in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"

    head = curl(server, "/", "--head")
    assert head.status == 200
    assert head.body == b""
    assert head.headers["content-security-policy"] == policy
    assert curl(server, "/", "-H", f"If-None-Match: {page.headers['etag']}").status == 304
    packed = curl(server, "/", "--compressed")
    assert packed.headers.get("content-encoding") == "gzip"
    assert packed.body == page.body
    check_error(curl(server, "/assets/none.js"), 404, "not_found")
