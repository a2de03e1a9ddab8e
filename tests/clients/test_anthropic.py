"""Anthropic's SDK for Python with the real server: /v1/messages and /v1/messages/count_tokens."""

import pytest

from support import client_library, make_key

anthropic = client_library("anthropic")

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
GREEDY = {"temperature": 0}  # the SDK has no parameter for it
ANSWER = "The capital of France is Paris."
LOOK_UP = {
    "name": "look_up",
    "description": "Looks up a city.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris"]}, "size": {"type": "integer", "minimum": 0, "maximum": 9}},
        "required": ["city", "size"],
    },
}
SERIAL = {"type": "any", "disable_parallel_tool_use": True}


def client_of(server, **options):
    base_url = server.base_url.removesuffix("/v1")
    return anthropic.Anthropic(base_url=base_url, **{"api_key": "none", "max_retries": 0} | options)


@pytest.fixture
def ask(server):
    client = client_of(server)
    settings = {"model": server.model, "max_tokens": 100, "messages": FRANCE, "extra_body": GREEDY}
    return lambda **fields: client.messages.create(**settings | fields)


@pytest.fixture
def stream(server):
    client = client_of(server)
    settings = {"model": server.model, "max_tokens": 100, "messages": FRANCE, "extra_body": GREEDY}
    return lambda **fields: client.messages.stream(**settings | fields)


def test_answer(ask, server):
    message = ask(system=[{"type": "text", "text": "You are a helpful assistant.", "cache_control": {"type": "ephemeral"}}])
    assert [block.text for block in message.content] == [ANSWER]
    assert (message.stop_reason, message.stop_sequence) == ("end_turn", None)
    assert message.model == server.model and message.id.startswith("msg_")
    assert message.usage.output_tokens == 13
    blocks = [{"role": "user", "content": [{"type": "text", "text": FRANCE[0]["content"]}]}]
    assert ask(messages=blocks).content[0].text == ANSWER


def test_stream_is_the_whole_answer(stream):
    with stream() as events:
        text = "".join(events.text_stream)
        message = events.get_final_message()
    assert text == message.content[0].text == ANSWER
    assert message.stop_reason == "end_turn" and message.usage.output_tokens == 13


def test_stop_sequences_and_limits(ask, stream):
    message = ask(stop_sequences=["is", "Paris"])
    assert message.content[0].text == "The capital of France "
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "is")
    message = ask(max_tokens=2)
    assert message.stop_reason == "max_tokens" and ANSWER.startswith(message.content[0].text)
    with stream(max_tokens=2) as events:
        assert events.get_final_message().stop_reason == "max_tokens"


def test_last_assistant_message_is_continued(ask):
    message = ask(messages=[*FRANCE, {"role": "assistant", "content": "The capital of France"}])
    assert message.content[0].text == " is Paris."


def test_tokens_are_counted(server, ask):
    client = client_of(server)
    counted = client.messages.count_tokens(model=server.model, messages=FRANCE, system="Be brief.")
    usage = ask(system="Be brief.").usage
    assert counted.input_tokens == usage.input_tokens + usage.cache_read_input_tokens
    with_tools = client.messages.count_tokens(model=server.model, messages=FRANCE, system="Be brief.", tools=[LOOK_UP])
    assert with_tools.input_tokens > counted.input_tokens


def test_tool_is_called_and_its_result_is_read(ask, stream):
    settings = {"tools": [LOOK_UP], "tool_choice": SERIAL}
    whole = ask(**settings)
    with stream(**settings) as events:
        types = [event.type for event in events]
        streamed = events.get_final_message()
    assert "input_json" in types
    for message in (whole, streamed):
        (call,) = message.content
        assert message.stop_reason == "tool_use"
        assert call.type == "tool_use" and call.name == "look_up" and call.id.startswith("toolu_")
        assert call.input["city"] == "Paris" and 0 <= call.input["size"] <= 9
    result = {"type": "tool_result", "tool_use_id": whole.content[0].id, "content": [{"type": "text", "text": "large"}]}
    history = [*FRANCE, {"role": "assistant", "content": whole.content}, {"role": "user", "content": [result]}]
    after = ask(messages=history, tools=[LOOK_UP])
    assert after.usage.input_tokens + after.usage.cache_read_input_tokens > whole.usage.input_tokens + whole.usage.cache_read_input_tokens
    named = ask(tools=[LOOK_UP], tool_choice={"type": "tool", "name": "look_up"})
    assert named.content[0].name == "look_up"
    assert ask(tools=[LOOK_UP], tool_choice={"type": "none"}).content[0].text == ANSWER


@pytest.mark.parametrize(
    ("fields", "exception", "kind", "message"),
    [
        ({"extra_body": {"temperature": 3}}, anthropic.BadRequestError, "invalid_request_error", "temperature must be"),
        ({"model": "other"}, anthropic.NotFoundError, "not_found_error", "'other' does not exist"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, anthropic.BadRequestError, "invalid_request_error", "web_search"),
        (
            {"tools": [LOOK_UP | {"input_schema": {"type": "object", "properties": {"a": {"pattern": "(?=x)"}}}}]},
            anthropic.BadRequestError,
            "invalid_request_error",
            r"tools\[0\].input_schema has a schema that cannot be enforced",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "x"}}]}]},
            anthropic.BadRequestError,
            "invalid_request_error",
            "accepts only blocks of the types",
        ),
        ({"messages": [{"role": "user", "content": "x" * 5_000_000}]}, anthropic.APIStatusError, "request_too_large", "body is larger"),
    ],
    ids=["value", "model", "hosted tool", "schema", "image", "size"],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
def test_errors_have_their_form(ask, fields, exception, kind, message, streamed):
    with pytest.raises(exception, match=message) as caught:
        ask(stream=streamed, **fields)
    body = caught.value.body
    assert body["type"] == "error" and body["error"]["type"] == kind
    assert body["request_id"] == caught.value.response.headers["x-request-id"]


def test_wrong_key_is_an_authentication_error(start_server, tmp_path):
    key = make_key(tmp_path / "keys", "alice")
    with start_server("--api-key-file", str(tmp_path / "keys"), api_key=key) as server:
        assert client_of(server, api_key=key).messages.create(model=server.model, max_tokens=5, messages=FRANCE).content
        with pytest.raises(anthropic.AuthenticationError) as caught:
            client_of(server).messages.create(model=server.model, max_tokens=5, messages=FRANCE)
        assert caught.value.body["error"]["type"] == "authentication_error"


def test_full_server_is_overloaded(start_server, endless_model):
    with start_server("--model", str(endless_model), "--max-num-seqs", "1", "--max-queued-requests", "0") as server:
        client = client_of(server)
        settings = {"model": server.model, "messages": FRANCE}
        with client.messages.stream(max_tokens=3000, **settings) as events:
            next(iter(events))
            with pytest.raises(anthropic.InternalServerError, match="The waiting queue is full") as caught:
                client.messages.create(max_tokens=2, **settings)
            assert caught.value.body["error"]["type"] == "overloaded_error"
        server.wait_until_idle()
