"""server/api/openapi.json must agree with the route table, the table of errors and the server's real answers."""

import json
import re

import pytest

from support import DEADLINE, ROOT, client_library

jsonschema = client_library("jsonschema")
openapi_spec_validator = client_library("openapi_spec_validator")
requests = client_library("requests")
schemathesis = client_library("schemathesis")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402
from hypothesis.errors import Unsatisfiable  # noqa: E402
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.specs.openapi import checks  # noqa: E402

DOCUMENT = json.loads((ROOT / "server/api/openapi.json").read_text())
MESSAGES = [{"role": "user", "content": "Hello"}]


def test_document_is_valid_and_served_unchanged(server):
    openapi_spec_validator.validate(DOCUMENT)
    answer = requests.get(server.root_url + "/openapi.json", timeout=DEADLINE)
    assert answer.text == (ROOT / "server/api/openapi.json").read_text()


def test_document_has_exactly_the_routes_of_the_table():
    table = re.findall(r'Route\{"(\w+)", "([^"]+)"', (ROOT / "server/routes.cpp").read_text())
    assert len(table) > 10
    routes = {(verb.lower(), path.replace("*", "{id}")) for verb, path in table if path not in ("/", "/assets/*")}
    described = {(verb, path) for path, verbs in DOCUMENT["paths"].items() for verb in verbs}
    assert described == routes


def test_routes_without_key_are_those_of_the_table():
    table = re.findall(r'Route\{"\w+", "([^"]+)", &[\w<>]+(, Access::anyone)?', (ROOT / "server/routes.cpp").read_text())
    public = {path for path, anyone in table if anyone and path not in ("/", "/assets/*")}
    described = {path for path, verbs in DOCUMENT["paths"].items() for verb in verbs.values() if verb.get("security") == []}
    assert described == public


def test_document_has_every_error_code_of_the_table():
    """The codes of the WebSocket protocol are not in the document."""
    table = re.findall(r'ErrorInfo\{\s*errc::\w+, (\d+), [\w"]+, "(\w+)"', (ROOT / "server/api/error.cpp").read_text())
    assert len(table) > 20
    others = {
        "invalid_stream_id", "invalid_store_transition", "lane_busy", "unknown_event_type",
        "websocket_queue_full", "websocket_stream_limit_reached", "websocket_connection_limit_reached",
        "steering_not_supported", "request_cancelled",
    }  # fmt: skip
    codes = set(DOCUMENT["components"]["schemas"]["Error"]["properties"]["error"]["properties"]["code"]["enum"])
    assert codes == {code for _, code in table} - others


def lengths_in(node):
    """Yields each maxLength inside a schema."""
    if isinstance(node, dict):
        yield from (value for key, value in node.items() if key == "maxLength")
        for value in node.values():
            yield from lengths_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from lengths_in(value)


def test_lengths_in_characters_are_a_quarter_of_the_limits_in_bytes():
    """The server counts bytes of UTF-8, of which a character has up to four, but JSON Schema counts characters."""
    num_checked = 0
    for name, fields in DOCUMENT["components"]["schemas"].items():
        for field, definition in fields.get("properties", {}).items():
            limits = {int(number) for number in re.findall(r"(?:to|most) (\d+) bytes", definition.get("description", ""))}
            if limits:
                num_checked += 1
                assert {4 * length for length in lengths_in(definition)} == limits, (name, field)
    assert num_checked >= 5


@pytest.mark.parametrize(
    ("path", "limit"), [("/v1/chat/completions", 256), ("/v1/completions", 256), ("/v1/responses", 512)]
)
def test_user_may_have_as_many_bytes_as_the_document_says(server, path, limit):
    schema_name = {"/v1/responses": "ResponseRequest"}.get(path, "Generation")
    assert f"up to {limit} bytes" in DOCUMENT["components"]["schemas"][schema_name]["properties"]["user"]["description"]
    body = {"/v1/completions": {"prompt": "Hi"}, "/v1/responses": {"input": "Hi"}}.get(path, {"messages": MESSAGES})
    assert post(server, path, body | {"user": "a" * limit}).status_code == 200
    assert post(server, path, body | {"user": "\U0001f600" * (limit // 4)}).status_code == 200
    answer = post(server, path, body | {"user": "a" * (limit + 1)})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "user")


@pytest.mark.parametrize(("path", "body"), [("/v1/chat/completions", {"messages": MESSAGES}), ("/v1/completions", {"prompt": "Hi"})])
def test_every_name_of_max_tokens_is_in_the_document_and_served(server, path, body):
    name = {"/v1/completions": "CompletionRequest"}.get(path, "ChatRequest")
    for field in ("max_tokens", "max_completion_tokens", "n_predict"):
        assert field in DOCUMENT["components"]["schemas"][name]["properties"]
        assert post(server, path, body | {field: 2, "ignore_eos": True}).json()["usage"]["completion_tokens"] == 2


def schema(name):
    return {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}


def post(server, path, body):
    return requests.post(server.root_url + path, json=body, timeout=DEADLINE)


def events(answer):
    lines = [line for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_answers_and_chunks_match_their_schemas(server):
    chat = {"messages": MESSAGES, "max_tokens": 4, "n": 2, "logprobs": True, "top_logprobs": 2, "return_token_ids": True}
    text = {"prompt": ["Hello", "Hi"], "max_tokens": 4, "n": 2, "logprobs": 2, "return_token_ids": True}
    stream = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    for path, body, whole, chunk in (
        ("/v1/chat/completions", chat, "ChatCompletion", "ChatCompletionChunk"),
        ("/v1/completions", text, "Completion", "CompletionChunk"),
        ("/v1/completions", text | {"echo": True}, "Completion", "CompletionChunk"),
    ):
        for more in ({}, {"prompt_logprobs": 2, "max_tokens": 0}):
            jsonschema.validate(post(server, path, body | more).json(), schema(whole))
        chunks = events(post(server, path, body | stream))
        assert len(chunks) > 4
        for one in chunks:
            jsonschema.validate(one, schema(chunk))


def test_examples_of_the_document_work(server):
    for path, verbs in DOCUMENT["paths"].items():
        if "requestBody" not in verbs.get("post", {}):
            continue
        content = verbs["post"]["requestBody"]["content"]["application/json"]
        answer = post(server, path, content["example"])
        assert answer.status_code == 200, answer.text
        described = verbs["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        jsonschema.validate(answer.json(), described | {"components": DOCUMENT["components"]})


CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]
OPERATIONS = [found.ok() for found in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()]


def shortened(body):
    """Returns the request body, changed so that the answer has only a few tokens."""
    if isinstance(body, dict) and "input" in body:
        return body | {"max_output_tokens": 2}
    if not isinstance(body, dict) or not {"messages", "prompt"} & body.keys():
        return body
    longer = {"max_completion_tokens", "min_tokens"}
    return {key: value for key, value in body.items() if key not in longer} | {"max_tokens": 2}


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_generated_requests_are_answered_as_described(server, operation, mode):
    """Each answer to a valid or an invalid request has a status, type, headers and body that the document describes."""

    @settings(
        max_examples=30,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode))
    def run(case):
        case.body = shortened(case.body)
        case.call_and_validate(base_url=server.root_url, checks=CHECKS, timeout=DEADLINE)

    try:
        run()
    except Unsatisfiable:  # this operation has no input that could be invalid
        assert mode is GenerationMode.NEGATIVE
    server.wait_until_idle()
