"""The openai package with the real server: the published snippet, streaming, errors, seeds, stopping."""

import math

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


def test_published_snippet(client, server):
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


def test_published_snippet_streaming(client, server):
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


def test_include_usage_equals_the_usage_of_the_whole_answer(client, server):
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


def test_same_seed_has_the_same_text(client, server):
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


def ask(client, server, messages=FRANCE, **fields):
    """Requests an answer, greedy unless the fields say otherwise. extra_body has the fields the SDK does not know."""
    extra = ("top_k", "min_p", "repetition_penalty", "min_tokens", "ignore_eos", "stop_token_ids")
    body = {name: fields.pop(name) for name in extra if name in fields}
    request = {"model": server.model, "messages": messages, "temperature": 0, "max_tokens": 64, "extra_body": body}
    return client.chat.completions.create(**request | fields)


def texts(answer):
    return [choice.message.content for choice in answer.choices]


def first_token_id(client, server):
    """Returns the id of the greedy answer's first token, found by trying all ids as stop tokens."""
    for begin in range(0, 1 << 20, 64):
        ids = list(range(begin, begin + 64))
        choice = ask(client, server, max_tokens=1, stop_token_ids=ids).choices[0]
        if choice.finish_reason == "stop":
            assert choice.message.content == ""
            return choice.stop_reason
    pytest.fail("no token id stops the greedy answer at its first token")


def check_logprobs(content, text, num_alternatives):
    assert b"".join(bytes(token.bytes) for token in content).decode() == text
    for token in content:
        assert token.logprob <= 0
        top = token.top_logprobs
        assert len(top) == num_alternatives
        assert (top[0].token, top[0].logprob, top[0].bytes) == (token.token, token.logprob, token.bytes), "must be greedy"
        assert [other.logprob for other in top] == sorted((other.logprob for other in top), reverse=True)
        assert sum(math.exp(other.logprob) for other in top) <= 1.0001


def test_logprobs_of_a_greedy_answer(client, server):
    whole = ask(client, server, logprobs=True, top_logprobs=20)
    choice = whole.choices[0]
    assert "Paris" in choice.message.content
    assert len(choice.logprobs.content) == whole.usage.completion_tokens
    check_logprobs(choice.logprobs.content, choice.message.content, 20)

    chunks = list(ask(client, server, logprobs=True, top_logprobs=20, stream=True))
    streamed = [token for chunk in chunks if (found := chunk.choices[0].logprobs) for token in found.content]
    assert streamed == choice.logprobs.content
    assert text_of(chunks) == choice.message.content

    alone = ask(client, server, logprobs=True).choices[0].logprobs.content
    assert [token.logprob for token in alone] == [token.logprob for token in choice.logprobs.content]
    assert all(token.top_logprobs == [] for token in alone)
    assert ask(client, server).choices[0].logprobs is None


def test_held_back_text_has_its_logprobs(client, server):
    korean = [{"role": "user", "content": "Say hello in Korean."}]
    whole = ask(client, server, korean, logprobs=True, top_logprobs=1)
    text = whole.choices[0].message.content
    assert not text.isascii()
    check_logprobs(whole.choices[0].logprobs.content, text, 1)
    stop = text[1:4]
    stopped = ask(client, server, korean, logprobs=True, top_logprobs=1, stop=stop)
    assert stopped.choices[0].message.content == text[:1]
    assert stopped.choices[0].stop_reason == stop
    content = stopped.choices[0].logprobs.content
    assert len(content) == stopped.usage.completion_tokens
    assert content == whole.choices[0].logprobs.content[: len(content)]
    chunks = list(ask(client, server, korean, logprobs=True, top_logprobs=1, stop=stop, stream=True))
    assert [token for c in chunks if c.choices[0].logprobs for token in c.choices[0].logprobs.content] == content
    assert chunks[-1].choices[0].stop_reason == stop


def test_logprobs_are_those_of_the_unmodified_model(client, server):
    """Temperature, bias and penalties do not change the logprobs."""
    fields = {"logprobs": True, "top_logprobs": 3, "max_tokens": 1}
    plain = ask(client, server, **fields).choices[0].logprobs.content[0]
    bent = ask(
        client, server, temperature=2, seed=3, repetition_penalty=1.5, logit_bias={"300": 100}, **fields
    ).choices[0].logprobs.content[0]
    assert bent.token != plain.token
    assert bent.top_logprobs == plain.top_logprobs
    assert bent.logprob < plain.logprob


def test_several_choices_have_the_same_texts_streamed(client, server):
    # With ignore_eos, varied text follows the answer.
    fields = {"n": 3, "temperature": 2, "seed": 11, "ignore_eos": True}
    whole = ask(client, server, **fields)
    assert [choice.index for choice in whole.choices] == [0, 1, 2]
    assert len(set(texts(whole))) == 3
    assert texts(ask(client, server, **fields)) == texts(whole)
    single = ask(client, server, **fields | {"n": 1})
    assert texts(single) == texts(whole)[:1], "the first choice must not depend on n"

    *chunks, last = ask(client, server, **fields, stream=True, stream_options={"include_usage": True})
    assert all(len(chunk.choices) == 1 for chunk in chunks)
    for index in range(3):
        mine = [chunk.choices[0] for chunk in chunks if chunk.choices[0].index == index]
        assert "".join(choice.delta.content or "" for choice in mine) == texts(whole)[index]
        assert [choice.delta.role for choice in mine if choice.delta.role] == ["assistant"]
        assert [c.finish_reason for c in mine if c.finish_reason] == [whole.choices[index].finish_reason]
    assert last.usage.completion_tokens == whole.usage.completion_tokens
    assert whole.usage.completion_tokens == 3 * 64
    assert whole.usage.prompt_tokens == single.usage.prompt_tokens == last.usage.prompt_tokens


def test_stream_helper_joins_choices_and_logprobs(client, server):
    fields = {"model": server.model, "messages": FRANCE, "temperature": 1, "seed": 1, "max_tokens": 64, "n": 3}
    whole = client.chat.completions.create(**fields, logprobs=True, top_logprobs=2)
    with client.chat.completions.stream(**fields, logprobs=True, top_logprobs=2) as stream:
        final = stream.get_final_completion()
    for ours, theirs in zip(whole.choices, final.choices, strict=True):
        assert theirs.message.content == ours.message.content
        assert theirs.logprobs.content == ours.logprobs.content


def test_logit_bias_bans_and_forces(client, server):
    token = first_token_id(client, server)
    plain = ask(client, server, max_tokens=4, logprobs=True).choices[0]
    first = plain.logprobs.content[0].token
    banned = ask(client, server, max_tokens=4, logprobs=True, logit_bias={token: -100}).choices[0]
    assert banned.logprobs.content[0].token != first
    forced = ask(client, server, max_tokens=4, logit_bias={token: 100}).choices[0]
    assert forced.message.content == first * 4


def test_penalties_change_a_repetitive_answer(client, server):
    fields = {"max_tokens": 60, "ignore_eos": True}
    plain = texts(ask(client, server, **fields))
    changes = ({"frequency_penalty": 2}, {"presence_penalty": 2}, {"repetition_penalty": 2})
    answers = [texts(ask(client, server, **fields, **change)) for change in changes]
    assert plain not in answers
    assert [texts(ask(client, server, **fields, **change)) for change in changes] == answers
    nothing = {"frequency_penalty": 0, "presence_penalty": 0, "repetition_penalty": 1}
    assert texts(ask(client, server, **fields, **nothing)) == plain
    # The lowest valid penalties are accepted. They favour repeated tokens.
    rewarded = ask(client, server, **fields, frequency_penalty=-2, presence_penalty=-2, repetition_penalty=1e-300)
    assert rewarded.usage.completion_tokens == 60


def test_min_tokens_and_ignore_eos_lengthen_the_answer(client, server):
    plain = ask(client, server)
    used = plain.usage.completion_tokens
    assert plain.choices[0].finish_reason == "stop"
    assert plain.choices[0].stop_reason is None
    longer = ask(client, server, min_tokens=used + 5)
    assert longer.usage.completion_tokens >= used + 5
    endless = ask(client, server, ignore_eos=True)
    assert endless.usage.completion_tokens == 64
    assert endless.choices[0].finish_reason == "length"


def test_stop_token_ends_the_answer_and_is_named(client, server):
    token = first_token_id(client, server)
    stopped = ask(client, server, stop_token_ids=[token], min_tokens=1)
    assert stopped.choices[0].message.content != ""
    *_, last = ask(client, server, stop_token_ids=[token], stream=True)
    assert (last.choices[0].finish_reason, last.choices[0].stop_reason) == ("stop", token)


def test_top_k_top_p_and_min_p_of_one_token_are_greedy(client, server):
    greedy = texts(ask(client, server, STORY))
    for cut in ({"top_k": 1}, {"min_p": 1}, {"top_p": 1e-300}):
        assert texts(ask(client, server, STORY, temperature=2, seed=5, **cut)) == greedy
    for everything in ({"top_k": -1}, {"top_k": 2**31 - 1}, {"min_p": 0}):
        fields = {"temperature": 2, "seed": 5, "max_tokens": 20}
        assert texts(ask(client, server, STORY, **fields, **everything)) == texts(ask(client, server, STORY, **fields))


def test_unknown_model_is_refused(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=FRANCE)
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert "no-such-model" in caught.value.message
    assert caught.value.request_id


def test_empty_model_name_is_the_loaded_model(client, server):
    answer = client.chat.completions.create(model="", messages=FRANCE, temperature=0, max_tokens=8)
    assert answer.model == server.model


def test_too_long_a_prompt_is_refused_with_the_numbers(client, server):
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(
                model=server.model, messages=[{"role": "user", "content": "hello " * 6000}], stream=stream
            )
        assert caught.value.code == "context_length_exceeded"
        assert caught.value.type == "invalid_request_error"
        assert "maximum context length is 4096 tokens" in caught.value.message
        assert "4095" in caught.value.message


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_max_tokens_is_an_upper_bound(client, server, name):
    for value in (4096, 1_000_000, -1):
        answer = client.chat.completions.create(model=server.model, messages=FRANCE, temperature=0, extra_body={name: value})
        assert "Paris" in answer.choices[0].message.content
        assert answer.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("temperature", 3, "invalid_value"),
        ("temperature", "hot", "invalid_value"),
        ("top_p", 1.5, "invalid_value"),
        ("max_tokens", 0, "invalid_value"),
        ("seed", 1.5, "invalid_value"),
        ("stop", ["x"] * 17, "invalid_value"),
        ("logit_bias", {"1": 101}, "invalid_value"),
        ("logit_bias", {"99999999": 1}, "invalid_value"),
        ("n", 9, "invalid_value"),
        ("top_logprobs", 2, "invalid_value"),
        ("frequency_penalty", 2.5, "invalid_value"),
        ("tool_choice", "required", "invalid_value"),
    ],
)
def test_invalid_values_are_refused_by_field(client, server, field, value, code):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model=server.model, messages=FRANCE, **{field: value})
    assert caught.value.param == field
    assert caught.value.code == code


def test_invalid_messages_are_refused_by_place(client, server):
    for messages, param in (
        ([], "messages"),
        ([{"role": "wizard", "content": "x"}], "messages[0].role"),
        ([*FRANCE, {"role": "user", "content": 7}], "messages[1].content"),
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model=server.model, messages=messages)
        assert caught.value.param == param


def test_explicit_nulls_and_content_parts_are_accepted(client, server):
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


def test_leaving_the_loop_stops_the_generation(endless_server):
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
