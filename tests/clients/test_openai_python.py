"""The openai package against the real server: the published snippet, streaming, errors, seeds, stopping."""

import pytest

from support import client_library

openai = client_library("openai")

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
STORY = [{"role": "user", "content": "Tell me a story about a fox."}]


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.base_url, api_key="not-needed", max_retries=0) as client:
        yield client


def text_of(stream):
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


def test_snippet(client, server):
    completion = client.chat.completions.create(
        model=server.model, messages=FRANCE, temperature=0, top_p=1, max_tokens=64, stream=False
    )
    message = completion.choices[0].message
    assert message.role == "assistant"
    assert "Paris" in message.content
    assert completion.object == "chat.completion"
    assert completion.model == server.model
    assert completion.choices[0].finish_reason == "stop"
    usage = completion.usage
    assert usage.prompt_tokens > 0 and usage.completion_tokens > 0
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert completion._request_id


def test_snippet_streaming(client, server):
    whole = client.chat.completions.create(model=server.model, messages=FRANCE, temperature=0, max_tokens=64)
    stream = client.chat.completions.create(
        model=server.model, messages=FRANCE, temperature=0, top_p=1, max_tokens=64, stream=True
    )
    chunks = list(stream)
    assert text_of(chunks) == whole.choices[0].message.content
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
    assert all(chunk.usage is None for chunk in chunks)


def test_include_usage_agrees_with_the_whole_answer(client, server):
    whole = client.chat.completions.create(model=server.model, messages=FRANCE, temperature=0, max_tokens=64)
    *chunks, last = client.chat.completions.create(
        model=server.model,
        messages=FRANCE,
        temperature=0,
        max_tokens=64,
        stream=True,
        stream_options={"include_usage": True},
    )
    assert last.choices == []
    assert last.usage.to_dict() == whole.usage.to_dict()
    assert all(chunk.usage is None for chunk in chunks)


def test_answers_stream_instead_of_arriving_at_the_end(client, server):
    chunks = list(client.chat.completions.create(model=server.model, messages=STORY, temperature=0, stream=True))
    assert len([c for c in chunks if c.choices[0].delta.content]) > 5


def test_same_seed_same_text(client, server):
    def ask(seed):
        answer = client.chat.completions.create(
            model=server.model, messages=STORY, temperature=2, seed=seed, max_tokens=100
        )
        return answer.choices[0].message.content

    assert ask(7) == ask(7)
    assert ask(2**62) == ask(2**62)
    assert len({ask(seed) for seed in range(8)}) > 1


def test_stop_string_ends_the_text_before_it(client, server):
    whole = client.chat.completions.create(model=server.model, messages=FRANCE, temperature=0, max_tokens=64)
    text = whole.choices[0].message.content
    middle = len(text) // 2
    stop = text[middle : middle + 4]
    for stream in (False, True):
        answer = client.chat.completions.create(
            model=server.model, messages=FRANCE, temperature=0, max_tokens=64, stop=[stop, "never"], stream=stream
        )
        if stream:
            chunks = list(answer)
            got, reason = text_of(chunks), chunks[-1].choices[0].finish_reason
        else:
            got, reason = answer.choices[0].message.content, answer.choices[0].finish_reason
        assert got == text[: text.index(stop)]
        assert reason == "stop"


def test_max_tokens_gives_finish_reason_length(client, server):
    for field in ("max_tokens", "max_completion_tokens"):
        answer = client.chat.completions.create(model=server.model, messages=STORY, temperature=0, **{field: 3})
        assert answer.choices[0].finish_reason == "length"
        assert answer.usage.completion_tokens == 3


def test_unknown_model(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=FRANCE)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert "no-such-model" in caught.value.message
    assert caught.value.request_id


def test_empty_model_is_the_loaded_one(client, server):
    answer = client.chat.completions.create(model="", messages=FRANCE, temperature=0, max_tokens=8)
    assert answer.model == server.model


def test_over_long_prompt_names_the_numbers(client, server):
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(
                model=server.model, messages=[{"role": "user", "content": "hello " * 6000}], stream=stream
            )
        assert caught.value.code == "context_length_exceeded"
        assert caught.value.type == "invalid_request_error"
        assert "maximum context length is 4096 tokens" in caught.value.message
        assert "4095" in caught.value.message


def test_prompt_and_max_tokens_over_the_context(client, server):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=server.model, messages=FRANCE, max_tokens=4096)
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "max_tokens"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("temperature", 3, "invalid_value"),
        ("temperature", "hot", "invalid_value"),
        ("top_p", 1.5, "invalid_value"),
        ("max_tokens", 0, "invalid_value"),
        ("seed", 1.5, "invalid_value"),
        ("stop", ["x"] * 17, "invalid_value"),
        ("logit_bias", {"1": 1}, "unsupported_parameter"),
        ("response_format", {"type": "json_object"}, "unsupported_parameter"),
    ],
)
def test_bad_values_name_their_field(client, server, field, value, code):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=server.model, messages=FRANCE, **{field: value})
    assert caught.value.param == field
    assert caught.value.code == code


def test_bad_messages_name_their_place(client, server):
    for messages, param in (
        ([], "messages"),
        ([{"role": "wizard", "content": "x"}], "messages[0].role"),
        ([*FRANCE, {"role": "user", "content": 7}], "messages[1].content"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model=server.model, messages=messages)
        assert caught.value.param == param


def test_explicit_nulls_and_content_parts_are_taken(client, server):
    parts = [{"type": "text", "text": "What is the capital "}, {"type": "text", "text": "of France?"}]
    answer = client.chat.completions.create(
        model=server.model,
        messages=[{"role": "user", "content": parts}],
        temperature=0,
        max_tokens=64,
        extra_body={"stop": None, "top_p": None, "seed": None},
        user="someone",
    )
    assert "Paris" in answer.choices[0].message.content


def test_leaving_the_loop_stops_the_work(endless_server):
    with openai.OpenAI(base_url=endless_server.base_url, api_key="x", max_retries=0) as client:
        request = {"model": "", "messages": FRANCE, "temperature": 0}
        with client.chat.completions.create(max_tokens=3500, stream=True, **request) as stream:
            for chunk in stream:
                if chunk.choices[0].delta.content:
                    break
        endless_server.wait_until_idle()
        answer = client.chat.completions.create(max_tokens=5, **request)
        assert answer.choices[0].message.content == "aaaaa"


def test_models(client, server):
    models = client.models.list().data
    assert models[0].id == server.model
    assert models[0].object == "model"
    assert client.models.retrieve(server.model).id == server.model
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")
