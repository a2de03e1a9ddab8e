"""The openai package with /v1/completions, and the fields of chat that OpenAI's API does not have."""

import typing

import pytest

from support import client_library, get_json

openai = client_library("openai")
requests = client_library("requests")

PROMPT = "### User:\nWhat is the capital of {}?\n\n### Assistant:\n"
ANSWER = "The capital of {} is {}."
CITIES = {"France": "Paris", "Italy": "Rome", "Japan": "Tokyo"}
GREEDY = {"temperature": 0, "max_tokens": 40}


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.base_url, api_key="not-needed", max_retries=0) as client:
        yield client


def token_ids(server, text):
    return requests.post(server.root_url + "/tokenize", json={"prompt": text}).json()["tokens"]


def test_text_and_usage_of_one_prompt(client, server):
    answer = client.completions.create(model=server.model, prompt=PROMPT.format("France"), **GREEDY)
    assert answer.object == "text_completion"
    assert answer.choices[0].text == ANSWER.format("France", "Paris")
    assert answer.choices[0].finish_reason == "stop"
    usage = answer.usage
    assert usage.prompt_tokens == len(token_ids(server, PROMPT.format("France")))
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


def test_the_default_length_is_sixteen_tokens(client, server):
    answer = client.completions.create(model=server.model, prompt="Tell", extra_body={"ignore_eos": True})
    assert answer.usage.completion_tokens == 16
    assert answer.choices[0].finish_reason == "length"


def test_several_prompts_are_answered_as_single_ones(client, server):
    prompts = [PROMPT.format(country) for country in CITIES]
    answer = client.completions.create(model=server.model, prompt=prompts, n=2, **GREEDY)
    texts = [choice.text for choice in answer.choices]
    assert texts == [ANSWER.format(*pair) for pair in CITIES.items() for _ in range(2)]
    assert [choice.index for choice in answer.choices] == list(range(6))
    alone = client.completions.create(model=server.model, prompt=prompts[1], **GREEDY)
    assert alone.usage.prompt_tokens * 3 - 6 <= answer.usage.prompt_tokens <= alone.usage.prompt_tokens * 3 + 6


def test_equal_prompts_differ_unless_a_seed_is_given(client, server):
    fields = {"model": server.model, "prompt": ["Tell"] * 6, "temperature": 1.5, "extra_body": {"ignore_eos": True}}
    assert len({choice.text for choice in client.completions.create(**fields).choices}) > 1
    assert len({choice.text for choice in client.completions.create(**fields, seed=5).choices}) == 1


def test_token_ids_are_accepted_as_prompts(client, server):
    prompts = [token_ids(server, PROMPT.format(country)) for country in CITIES]
    one = client.completions.create(model=server.model, prompt=prompts[0], **GREEDY)
    assert one.choices[0].text == ANSWER.format("France", "Paris")
    assert one.usage.prompt_tokens == len(prompts[0])
    several = client.completions.create(model=server.model, prompt=prompts, **GREEDY)
    assert [choice.text for choice in several.choices] == [ANSWER.format(*pair) for pair in CITIES.items()]


def test_echo_puts_the_prompt_first(client, server):
    prompt = PROMPT.format("France")
    for form in (prompt, token_ids(server, prompt)):
        answer = client.completions.create(model=server.model, prompt=form, echo=True, **GREEDY)
        assert answer.choices[0].text == prompt + ANSWER.format("France", "Paris")
        stream = client.completions.create(model=server.model, prompt=form, echo=True, stream=True, **GREEDY)
        assert "".join(chunk.choices[0].text for chunk in stream) == answer.choices[0].text


def test_logprobs_have_tokens_alternatives_and_offsets(client, server):
    answer = client.completions.create(model=server.model, prompt=PROMPT.format("France"), logprobs=3, **GREEDY)
    logprobs = answer.choices[0].logprobs
    text = answer.choices[0].text
    assert "".join(logprobs.tokens) == text + "</s>"  # the end token has a name, and is not in the text
    assert all(text[offset:].startswith(token) for token, offset in zip(logprobs.tokens[:-1], logprobs.text_offset))
    assert logprobs.text_offset[-1] == len(text)
    for token, logprob, top in zip(logprobs.tokens, logprobs.token_logprobs, logprobs.top_logprobs):
        assert top[token] == logprob == max(top.values())
        assert len(top) == 3


def test_stream_has_the_same_text_and_usage_at_its_end(client, server):
    prompts = [PROMPT.format(country) for country in CITIES]
    *chunks, last = client.completions.create(
        model=server.model, prompt=prompts, stream=True, logprobs=0, stream_options={"include_usage": True}, **GREEDY
    )
    texts, offsets = [""] * 3, [[], [], []]
    for chunk in chunks:
        choice = chunk.choices[0]
        texts[choice.index] += choice.text
        offsets[choice.index] += choice.logprobs.text_offset if choice.logprobs else []
    assert texts == [ANSWER.format(*pair) for pair in CITIES.items()]
    assert last.choices == [] and last.usage.completion_tokens == sum(map(len, offsets))
    whole = client.completions.create(model=server.model, prompt=prompts, logprobs=0, **GREEDY)
    assert offsets == [choice.logprobs.text_offset for choice in whole.choices]
    assert last.usage == whole.usage.model_copy(update={"prompt_tokens_details": last.usage.prompt_tokens_details})


def test_unsupported_fields_are_refused_by_name(client, server):
    for fields in ({"best_of": 2}, {"suffix": "x"}):
        with pytest.raises(openai.BadRequestError) as refusal:
            client.completions.create(model=server.model, prompt="a", **fields)
        assert refusal.value.code == "unsupported_parameter"
        assert refusal.value.param == next(iter(fields))


def test_continuous_usage_is_in_every_chunk(client, server):
    options = {"include_usage": True, "continuous_usage_stats": True}
    *chunks, last = client.chat.completions.create(
        model=server.model, messages=[{"role": "user", "content": "Hello"}], stream=True, stream_options=options, **GREEDY
    )
    counts = [chunk.usage.completion_tokens for chunk in chunks]
    assert counts == sorted(counts) and counts[0] >= 1
    assert counts[-1] == last.usage.completion_tokens


def test_answer_continues_the_last_message(client, server):
    question = {"role": "user", "content": "What is the capital of France?"}
    begun = {"role": "assistant", "content": "The capital of"}
    answer = client.chat.completions.create(
        model=server.model, messages=[question, begun], extra_body={"continue_final_message": True}, **GREEDY
    )
    assert answer.choices[0].message.content == " France is Paris."
    fields = {"continue_final_message": True, "echo": True}
    stream = client.chat.completions.create(
        model=server.model, messages=[question, begun], extra_body=fields, stream=True, **GREEDY
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "The capital of France is Paris."


def test_token_ids_of_prompt_and_answer_are_returned(client, server):
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    answer = client.chat.completions.create(
        model=server.model, messages=messages, extra_body={"return_token_ids": True}, **GREEDY
    )
    assert answer.prompt_token_ids == token_ids(server, PROMPT.format("France"))
    said = requests.post(server.root_url + "/detokenize", json={"tokens": answer.choices[0].token_ids}).json()
    assert said["prompt"] == answer.choices[0].message.content
    rendered = requests.post(server.base_url + "/chat/completions/render", json={"messages": messages}).json()
    assert rendered["token_ids"] == answer.prompt_token_ids
    assert rendered["prompt"] == PROMPT.format("France")


def test_parse_helper_reads_plain_answers_and_models(client, server):
    pydantic = client_library("pydantic")

    class City(pydantic.BaseModel):
        name: typing.Literal["Paris", "Rome", "Tokyo"]
        visited: bool

    messages = [{"role": "user", "content": "What is the capital of France?"}]
    plain = client.chat.completions.parse(model=server.model, messages=messages, **GREEDY)
    assert plain.choices[0].message.content == ANSWER.format("France", "Paris")
    assert plain.choices[0].message.parsed is None
    city = client.chat.completions.parse(model=server.model, messages=messages, response_format=City, **GREEDY)
    assert city.choices[0].finish_reason == "stop"
    assert isinstance(city.choices[0].message.parsed, City)


def test_abandoned_stream_of_several_prompts_stops_them_all(endless_server):
    with openai.OpenAI(base_url=endless_server.base_url, api_key="none", max_retries=0) as client:
        stream = client.completions.create(
            model=endless_server.model, prompt=["a", "b", "c"], n=2, max_tokens=2000, stream=True
        )
        for _ in stream:
            break
        stream.close()
    endless_server.wait_until_idle()
    assert get_json(endless_server.base_url + "/metadata")[1]["engine"]["in_flight"] == 0
