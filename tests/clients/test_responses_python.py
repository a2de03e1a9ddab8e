"""The openai package for Python with /v1/responses."""

import json

import pytest

from support import client_library, make_key

openai = client_library("openai")
requests = client_library("requests")

FRANCE = "What is the capital of France?"
PARIS = "The capital of France is Paris."
# All events of an answer, in their order. response.queued may come in addition.
EVENTS = [
    "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
    "response.output_text.delta", "response.output_text.done", "response.content_part.done", "response.output_item.done",
    "response.completed",
]  # fmt: skip


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client


def client_of(server, key="none"):
    return openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0)


def test_create_returns_the_answer(client, server):
    response = client.responses.create(model=server.model, input=FRANCE, temperature=0, metadata={"a": "b"})
    assert response.output_text == PARIS
    assert response.status == "completed"
    assert response.id.startswith("resp_") and len(response.id) >= len("resp_") + 32
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert response.metadata == {"a": "b"}
    assert (response.temperature, response.store, response.error) == (0, True, None)


def test_every_form_of_input_is_accepted(client, server):
    for given in (
        [{"role": "user", "content": FRANCE}],
        [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": FRANCE}]}],
        [{"role": "developer", "content": "You are a helpful assistant."}, {"role": "user", "content": FRANCE}],
    ):
        assert client.responses.create(model=server.model, input=given, temperature=0).output_text == PARIS


def test_instructions_are_a_system_message(client, server):
    asked = client.responses.create(model=server.model, input=FRANCE, instructions="Be brief.", temperature=0)
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": FRANCE}]
    rendered = requests.post(server.base_url + "/chat/completions/render", json={"messages": chat}).json()
    assert asked.usage.input_tokens == rendered["count"]
    assert asked.instructions == "Be brief."


def test_stream_has_all_events_in_order(client, server):
    events = list(client.responses.create(model=server.model, input=FRANCE, temperature=0, stream=True))
    kinds = [event.type for event in events if event.type != "response.queued"]
    assert list(dict.fromkeys(kinds)) == EVENTS
    assert all(kinds.count(kind) == 1 for kind in EVENTS if kind != "response.output_text.delta")
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers)) and numbers[0] == 0
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    done = next(event for event in events if event.type == "response.output_text.done")
    assert text == done.text == events[-1].response.output_text == PARIS
    assert len({event.response.id for event in events if hasattr(event, "response")}) == 1
    assert events[0].response.output == [] and events[0].response.usage is None


def test_stream_has_only_the_events_of_openais_api(client, server):
    """The SDK's helper fails on any event which it does not know, so the server must send none, even on request."""
    solar = {"progress": True, "resumable": True, "max_delta_hz": 120, "idempotency_key": "sse"}
    with client.responses.stream(model=server.model, input=FRANCE, temperature=0, extra_body={"solar": solar}) as stream:
        kinds = {event.type for event in stream}
        assert kinds <= set(EVENTS) | {"response.queued"}
        assert stream.get_final_response().output_text == PARIS


def test_stream_helper(client, server):
    with client.responses.stream(model=server.model, input=FRANCE, temperature=0) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    assert final.output_text == PARIS and final.status == "completed"


def test_length_limit_makes_the_response_incomplete(client, server):
    response = client.responses.create(model=server.model, input=FRANCE, temperature=0, max_output_tokens=3)
    assert response.status == "incomplete"
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage.output_tokens == 3


def test_logprobs_are_in_the_deltas_and_in_the_final_response(client, server):
    wanted = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    events = list(client.responses.create(model=server.model, input=FRANCE, temperature=0, stream=True, **wanted))
    streamed = [one for event in events if event.type == "response.output_text.delta" for one in event.logprobs]
    final = events[-1].response.output[0].content[0]
    assert len(streamed) == len(final.logprobs) == events[-1].response.usage.output_tokens
    assert "".join(bytes(one.bytes or []).decode() for one in final.logprobs) == PARIS
    assert all(len(one.top_logprobs) == 2 for one in final.logprobs)


def test_conversation_continues_from_its_last_response(client, server):
    first = client.responses.create(model=server.model, input=FRANCE, temperature=0)
    second = client.responses.create(
        model=server.model, input="And again: " + FRANCE, previous_response_id=first.id, temperature=0
    )
    chat = [
        {"role": "user", "content": FRANCE},
        {"role": "assistant", "content": PARIS},
        {"role": "user", "content": "And again: " + FRANCE},
    ]
    rendered = requests.post(server.base_url + "/chat/completions/render", json={"messages": chat}).json()
    assert second.usage.input_tokens == rendered["count"]
    assert second.usage.input_tokens_details.cached_tokens > 0
    assert second.previous_response_id == first.id
    for parent in ("resp_unknown", client.responses.create(model=server.model, input="Hi", store=False).id):
        with pytest.raises(openai.BadRequestError) as refusal:
            client.responses.create(model=server.model, input="Hi", previous_response_id=parent)
        assert (refusal.value.code, refusal.value.param) == ("previous_response_not_found", "previous_response_id")


def test_stored_response_is_retrieved_streamed_and_deleted(client, server):
    made = client.responses.create(model=server.model, input=FRANCE, temperature=0)
    assert client.responses.retrieve(made.id) == made
    whole = list(client.responses.retrieve(made.id, stream=True))
    assert [event.type for event in whole] == EVENTS
    client.responses.delete(made.id)
    for gone in (client.responses.retrieve, client.responses.delete, client.responses.cancel):
        with pytest.raises(openai.NotFoundError) as refusal:
            gone(made.id)
        assert refusal.value.code == "response_not_found"


def test_stream_resumes_after_every_cursor_with_the_same_text(client, server):
    events = list(client.responses.create(model=server.model, input=FRANCE, temperature=0, stream=True))
    made = events[-1].response
    last = events[-1].sequence_number
    for cursor in range(last + 1):
        rest = list(client.responses.retrieve(made.id, stream=True, starting_after=cursor))
        assert all(event.sequence_number > cursor for event in rest)
        assert [event.type for event in rest][-1:] == ["response.completed"] * (cursor < last)
    one_by_one = ""
    for cursor in range(4, last - 4):
        rest = list(client.responses.retrieve(made.id, stream=True, starting_after=cursor))
        remaining = "".join(event.delta for event in rest if event.type == "response.output_text.delta")
        assert made.output_text.endswith(remaining)
        begun = made.output_text.removesuffix(remaining)
        assert begun.startswith(one_by_one)
        one_by_one = begun


def test_cancel_ends_a_running_response_and_keeps_its_text(endless_server):
    client = client_of(endless_server)
    kinds, final = [], None
    stream = client.responses.create(model=endless_server.model, input="Go on.", max_output_tokens=3000, stream=True)
    for event in stream:
        kinds.append(event.type)
        if event.type == "response.created":
            made = event.response.id
        elif event.type == "response.output_text.delta" and kinds.count(event.type) == 3:
            assert client.responses.retrieve(made).status == "in_progress"
            assert client.responses.cancel(made).status == "cancelled"
        final = event
    assert final.type == "response.incomplete"
    assert final.response.status == "cancelled"
    assert 3 <= final.response.usage.output_tokens < 3000
    assert set(final.response.output_text) == {"a"}
    with pytest.raises(openai.ConflictError) as refusal:
        client.responses.cancel(made)
    assert refusal.value.code == "response_already_completed"
    endless_server.wait_until_idle()


def test_disconnect_ends_a_response_unless_it_is_resumable(endless_server):
    client = client_of(endless_server)

    def begin(**fields):
        stream = client.responses.create(
            model=endless_server.model, input="Go on.", max_output_tokens=400, stream=True, **fields
        )
        for event in stream:
            if event.type == "response.created":
                made = event.response.id
            if event.type == "response.output_text.delta":
                break
        stream.close()
        return made, event.sequence_number, event.delta

    left, _, _ = begin()
    endless_server.wait_until_idle()
    assert client.responses.retrieve(left).status == "cancelled"
    resumed, cursor, text = begin(extra_body={"solar": {"resumable": True}})
    for event in client.responses.retrieve(resumed, stream=True, starting_after=cursor):
        if event.type == "response.output_text.delta":
            text += event.delta
    assert event.type == "response.incomplete"
    assert text == event.response.output_text == "a" * 400


def test_shutdown_does_not_wait_for_a_response_without_reader(start_server, endless_model):
    with start_server("--model", str(endless_model)) as server:
        stream = client_of(server).responses.create(
            model=server.model, input="Go on.", stream=True, extra_body={"solar": {"resumable": True}}
        )
        assert next(iter(stream)).type == "response.created"
        stream.close()
        server.process.terminate()
        assert server.process.wait(20) == 0  # 20 seconds; the whole answer would take 30 seconds


def test_input_tokens_counts_as_the_usage_does(client, server):
    counted = client.responses.input_tokens.count(model=server.model, input=FRANCE)
    made = client.responses.create(model=server.model, input=FRANCE, max_output_tokens=1)
    assert counted.input_tokens == made.usage.input_tokens


def test_response_belongs_to_its_api_key(start_server, tmp_path):
    keys = [make_key(tmp_path / "keys", name) for name in ("alice", "bob")]
    with start_server("--api-key-file", str(tmp_path / "keys"), api_key=keys[0]) as server:
        alice, bob = (client_of(server, key) for key in keys)
        made = alice.responses.create(model=server.model, input=FRANCE, temperature=0)
        assert alice.responses.retrieve(made.id).output_text == PARIS
        for ask in (bob.responses.retrieve, bob.responses.delete, bob.responses.cancel):
            with pytest.raises(openai.NotFoundError):
                ask(made.id)
        with pytest.raises(openai.BadRequestError):
            bob.responses.create(model=server.model, input="Hi", previous_response_id=made.id)


@pytest.mark.parametrize(
    "fields, code, param",
    [
        ({"tools": [{"type": "web_search"}]}, "unsupported_parameter", "tools[0].type"),
        ({"text": {"format": {"type": "grammar"}}}, "invalid_value", "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "x", "schema": {"not": {}}}}}, "invalid_value", "text.format"),
        ({"background": True}, "unsupported_parameter", "background"),
        ({"truncation": "some"}, "invalid_value", "truncation"),
        ({"reasoning": {"effort": "high"}}, "unsupported_parameter", "reasoning.effort"),
        ({"include": ["no.such.part"]}, "invalid_value", "include"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, "unsupported_input", None),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "unsupported_input", None),
        ({"input": []}, "invalid_value", "input"),
        ({"max_output_tokens": 0}, "invalid_value", "max_output_tokens"),
        ({"top_logprobs": 21}, "invalid_value", "top_logprobs"),
        ({"temperature": 2.1}, "invalid_value", "temperature"),
    ],
)
def test_unsupported_fields_are_refused_by_name(client, server, fields, code, param):
    with pytest.raises(openai.BadRequestError) as refusal:
        client.responses.create(**{"model": server.model, "input": "Hi"} | fields)
    assert refusal.value.code == code
    assert param is None or refusal.value.param == param


def test_fields_with_neutral_values_are_accepted(client, server):
    neutral = {
        "tools": [], "tool_choice": "auto", "parallel_tool_calls": True, "reasoning": {"effort": None}, "background": False,
        "text": {"format": {"type": "text"}}, "truncation": "disabled", "service_tier": "auto", "previous_response_id": None,
        "include": [], "prompt_cache_key": "k", "stream_options": {"include_obfuscation": False},
    }  # fmt: skip
    body = {"model": server.model, "input": FRANCE, "temperature": 0, **neutral}
    assert requests.post(server.base_url + "/responses", json=body).json()["status"] == "completed"


def test_events_are_framed_as_sse_with_matching_names(server):
    body = {"input": FRANCE, "temperature": 0, "stream": True}
    raw = requests.post(server.base_url + "/responses", json=body)
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert "\r" not in raw.text
    for event in filter(None, raw.text.split("\n\n")):
        kind, data = event.split("\n")
        assert kind == "event: " + json.loads(data.removeprefix("data: "))["type"]
