"""Prompts of /v1/completions in each form, at and above their limits; token ids and usage in every form of answer."""

import typing

import pytest

from support import client_library

openai = client_library("openai")
requests = client_library("requests")

PROMPT = "### User:\nWhat is the capital of France?\n\n### Assistant:\n"
ANSWER = "The capital of France is Paris."
FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
GREEDY = {"temperature": 0, "max_tokens": 40}
BOS = 1


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.base_url, api_key="not-needed", max_retries=0) as client:
        yield client


def complete(client, **fields):
    return client.completions.create(**{"model": "", "prompt": PROMPT} | GREEDY | fields)


def chat(client, **fields):
    return client.chat.completions.create(**{"model": "", "messages": FRANCE} | GREEDY | fields)


def tokenize(server, text, **fields):
    return requests.post(server.root_url + "/tokenize", json={"prompt": text, **fields}).json()["tokens"]


def detokenize(server, token_ids):
    return requests.post(server.root_url + "/detokenize", json={"tokens": token_ids}).json()["prompt"]


@pytest.mark.parametrize(
    "prompt",
    [
        [], [[]], [[], [5]], [[5], []], [5, -1], [5, 1.5], [5, "a"], ["a", 5], ["a", [5]], [[5], "a"], [[5], ["a"]],
        [[[5]]], 5, True, {"text": "a"}, [None], ["a", None], [2**31], [2048], ["a"] * 129, [[5]] * 129,
    ],
    ids=lambda prompt: str(prompt)[:20],
)  # fmt: skip
def test_invalid_prompts_are_refused(client, prompt):
    with pytest.raises(openai.BadRequestError) as refusal:
        complete(client, prompt=prompt)
    assert (refusal.value.code, refusal.value.param) == ("invalid_value", "prompt")


def test_missing_prompt_is_refused(client):
    for body in ({}, {"prompt": None}):
        with pytest.raises(openai.BadRequestError) as refusal:
            client.post("/completions", cast_to=object, body=body)
        assert refusal.value.param == "prompt"


def test_one_request_can_have_128_answers(client, server):
    """Each answer belongs to its own prompt: the prompts have different lengths, and echo shows them."""
    prompts = ["a" * (1 + i) for i in range(16)]
    answer = complete(client, prompt=prompts, n=8, echo=True, max_tokens=1)
    assert [choice.index for choice in answer.choices] == list(range(128))
    for choice in answer.choices:
        assert choice.text.startswith(prompts[choice.index // 8])
    assert answer.usage.completion_tokens == 128
    assert answer.usage.prompt_tokens == sum(len(tokenize(server, prompt)) for prompt in prompts)
    with pytest.raises(openai.BadRequestError) as refusal:
        complete(client, prompt=prompts + ["a"], n=8)
    assert refusal.value.param == "prompt"


@pytest.mark.parametrize("form", ["text", "token ids"])
def test_prompt_longer_than_the_context_is_refused(client, form):
    prompt = "hello " * 6000 if form == "text" else [5] * 4096
    for prompts in (prompt, ["a", prompt] if form == "text" else [[5], prompt]):
        with pytest.raises(openai.BadRequestError) as refusal:
            complete(client, prompt=prompts, max_tokens=1)
        assert (refusal.value.code, refusal.value.param) == ("context_length_exceeded", "prompt")
        assert "maximum context length is 4096 tokens" in refusal.value.message


def test_only_texts_get_a_beginning_of_sequence_token(client, server):
    bare = tokenize(server, PROMPT, add_special_tokens=False)
    assert tokenize(server, PROMPT) == [BOS, *bare]
    assert complete(client).usage.prompt_tokens == len(bare) + 1
    assert complete(client, prompt=bare, max_tokens=1).usage.prompt_tokens == len(bare)
    with_bos = complete(client, prompt=[BOS, *bare], logprobs=5)
    assert with_bos.choices[0].text == ANSWER
    assert with_bos.choices[0].logprobs == complete(client, logprobs=5).choices[0].logprobs


def test_special_tokens_are_parsed_in_texts_and_never_in_messages(client, server):
    assert tokenize(server, "<s>a</s>", add_special_tokens=False) == [1, *tokenize(server, "a", add_special_tokens=False), 2]
    plain = tokenize(server, "</s>", parse_special=False)
    assert 2 not in plain and len(plain) > 2
    for text, fields, count in (
        ("</s></s>", {}, 3), ("</s></s>", {"add_special_tokens": False}, 2), ("</s>", {"parse_special": False}, len(plain)),
    ):  # fmt: skip
        assert complete(client, prompt=text, max_tokens=1, extra_body=fields).usage.prompt_tokens == count, fields
    messages = [{"role": "user", "content": "</s>"}]
    answer = client.chat.completions.create(model=server.model, messages=messages, max_tokens=1, extra_body={"return_token_ids": True})
    assert 2 not in answer.prompt_token_ids and answer.prompt_token_ids[0] == BOS
    bare = {"return_token_ids": True, "add_special_tokens": False}
    without = client.chat.completions.create(model=server.model, messages=messages, max_tokens=1, extra_body=bare)
    assert without.prompt_token_ids == answer.prompt_token_ids[1:]


def test_special_tokens_are_shown_only_if_asked_for(client, server):
    forced = {"prompt": "Tell", "max_tokens": 2, "logit_bias": {"2": 100}}
    hidden = complete(client, **forced, extra_body={"ignore_eos": True})
    shown = complete(client, **forced, extra_body={"ignore_eos": True, "skip_special_tokens": False})
    assert (hidden.choices[0].text, shown.choices[0].text) == ("", "</s></s>")
    # The token that ends an answer is not a part of it.
    assert complete(client, **forced, extra_body={"skip_special_tokens": False}).choices[0].text == ""


def test_empty_prompt_without_bos_is_refused(client):
    with pytest.raises(openai.BadRequestError) as refusal:
        complete(client, prompt="", max_tokens=1, extra_body={"add_special_tokens": False})
    assert refusal.value.param == "prompt" and "no tokens" in refusal.value.message


def test_empty_text_is_a_valid_prompt(client):
    answer = complete(client, prompt="", max_tokens=3, extra_body={"ignore_eos": True})
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (1, 3)


def test_choices_do_not_depend_on_each_other(client):
    hot = {"temperature": 2, "seed": 5, "max_tokens": 30, "extra_body": {"ignore_eos": True}}
    together = [choice.text for choice in complete(client, prompt=["Tell", PROMPT], n=3, **hot).choices]
    assert len(set(together)) == 6
    assert [choice.text for choice in complete(client, prompt=PROMPT, n=3, **hot).choices] == together[3:]
    streamed = [""] * 6
    for chunk in complete(client, prompt=["Tell", PROMPT], n=3, stream=True, **hot):
        streamed[chunk.choices[0].index] += chunk.choices[0].text
    assert streamed == together


def test_stop_strings_end_each_choice_separately(client):
    italy = PROMPT.replace("France", "Italy")
    answer = complete(client, prompt=[PROMPT, italy], stop=[" is Paris"])
    assert [choice.text for choice in answer.choices] == ["The capital of France", "The capital of Italy is Rome."]
    assert [choice.finish_reason for choice in answer.choices] == ["stop", "stop"]
    assert [choice.stop_reason for choice in answer.choices] == [" is Paris", None]


@pytest.mark.parametrize("form", ["text", "token ids"])
def test_token_ids_of_completions_are_returned(client, server, form):
    ids = tokenize(server, PROMPT)
    other = tokenize(server, "Hello")
    prompts = [PROMPT, "Hello"] if form == "text" else [ids, other]
    fields = {"prompt": prompts, "extra_body": {"return_token_ids": True}}
    whole = complete(client, **fields)
    assert [choice.prompt_token_ids for choice in whole.choices] == [ids, other]
    assert detokenize(server, whole.choices[0].token_ids) == ANSWER
    assert sum(len(choice.token_ids) for choice in whole.choices) == whole.usage.completion_tokens

    prompt_ids, token_ids = [[], []], [[], []]
    for chunk in complete(client, **fields, stream=True):
        choice = chunk.choices[0]
        prompt_ids[choice.index] += getattr(choice, "prompt_token_ids", [])
        token_ids[choice.index] += choice.token_ids
    assert prompt_ids == [ids, other], "prompt ids must come once, in the first chunk of the choice"
    assert token_ids == [choice.token_ids for choice in whole.choices]
    assert not hasattr(complete(client).choices[0], "token_ids")


def test_token_ids_of_a_streamed_chat_are_returned(client, server):
    fields = {"n": 2, "temperature": 1, "seed": 4, "extra_body": {"return_token_ids": True}}
    whole = chat(client, **fields)
    chunks = list(chat(client, **fields, stream=True))
    assert chunks[0].prompt_token_ids == whole.prompt_token_ids == tokenize(server, PROMPT)
    assert not any(hasattr(chunk, "prompt_token_ids") for chunk in chunks[1:])
    token_ids = [[], []]
    for chunk in chunks:
        token_ids[chunk.choices[0].index] += getattr(chunk.choices[0], "token_ids", [])
    assert token_ids == [choice.token_ids for choice in whole.choices]
    for choice in whole.choices:
        assert detokenize(server, choice.token_ids) == choice.message.content


@pytest.mark.parametrize("create", [complete, chat])
def test_continuous_usage_counts_all_choices(client, create):
    options = {"include_usage": True, "continuous_usage_stats": True}
    fields = {"n": 3, "temperature": 1, "seed": 1}
    whole = create(client, **fields)
    *chunks, last = create(client, **fields, stream=True, stream_options=options)
    counts = [chunk.usage.completion_tokens for chunk in chunks]
    assert counts == sorted(counts)
    assert counts[0] >= 1 and counts[-1] == last.usage.completion_tokens == whole.usage.completion_tokens
    for chunk in [*chunks, last]:
        assert chunk.usage.prompt_tokens == whole.usage.prompt_tokens
        assert chunk.usage.total_tokens == chunk.usage.prompt_tokens + chunk.usage.completion_tokens
    assert last.choices == []

    alone = list(create(client, stream=True, stream_options={"continuous_usage_stats": True}))
    assert all(chunk.choices and chunk.usage for chunk in alone), "a chunk came with usage alone, but was not requested"


def test_continue_final_message_needs_an_assistant_message(client):
    begun = [*FRANCE, {"role": "assistant", "content": "The capital of"}]
    both = {"continue_final_message": True, "add_generation_prompt": True}
    for messages, fields in ((begun, both), (FRANCE, {"continue_final_message": True})):
        with pytest.raises(openai.BadRequestError) as refusal:
            chat(client, messages=messages, extra_body=fields)
        assert (refusal.value.code, refusal.value.param) == ("invalid_value", "continue_final_message")
    goes_on = {"continue_final_message": True, "add_generation_prompt": False}
    continued = chat(client, messages=begun, extra_body=goes_on | {"return_token_ids": True})
    assert continued.choices[0].message.content == " France is Paris."
    streamed = chat(client, messages=begun, extra_body=goes_on, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == " France is Paris."
    plain = chat(client, messages=begun, extra_body={"return_token_ids": True})
    assert continued.prompt_token_ids == plain.prompt_token_ids[: len(continued.prompt_token_ids)]
    assert len(plain.prompt_token_ids) > len(continued.prompt_token_ids), "a new turn must begin"


def test_cache_salt_separates_cached_prompts(client):
    messages = [{"role": "user", "content": "One " * 100}]
    salted = {"messages": messages, "max_tokens": 1, "extra_body": {"cache_salt": "mine"}}
    cached = [chat(client, **salted).usage.prompt_tokens_details.cached_tokens for _ in range(2)]
    assert cached[0] == 0 < cached[1]
    others = chat(client, **salted | {"extra_body": {"cache_salt": "yours"}})
    assert others.usage.prompt_tokens_details.cached_tokens == 0
    for salt in ("", "x" * 257, 7):
        with pytest.raises(openai.BadRequestError) as refusal:
            chat(client, extra_body={"cache_salt": salt})
        assert refusal.value.param == "cache_salt"


@pytest.mark.parametrize("create", [complete, chat])
def test_each_request_has_its_own_request_id(client, create):
    raw = (client.completions if create is complete else client.chat.completions).with_raw_response
    text = {"prompt": PROMPT} if create is complete else {"messages": FRANCE}
    first, second = (raw.create(model="", **text, **GREEDY) for _ in range(2))
    assert first.request_id != second.request_id
    assert first.retries_taken == 0
    assert first.parse().id != second.parse().id
    assert first.headers["content-type"].startswith("application/json")


def test_stream_helper_parses_a_model(client):
    pydantic = client_library("pydantic")

    class City(pydantic.BaseModel):
        name: typing.Literal["Paris", "Rome", "Tokyo"]

    fields = {"model": "", "messages": FRANCE, **GREEDY}
    with client.chat.completions.stream(**fields, response_format=City) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, City)
    with client.chat.completions.stream(**fields, response_format={"type": "text"}) as stream:
        kinds = [event.type for event in stream]
    assert kinds[-1] == "content.done"
