"""Log-probabilities of prompts, with the demonstration model: `echo` with `logprobs`, and vLLM's `prompt_logprobs`."""

import concurrent.futures
import math

import pytest

from support import client_library

openai = client_library("openai")
requests = client_library("requests")

QUESTION = "### User:\nWhat is the capital of France?\n\n### Assistant:\n"
ANSWER = "The capital of France is Paris."
STORY = "### User:\nTell me a story.\n\n### Assistant:\n"


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.base_url, api_key="none") as made:
        yield made


def post(server, path, body):
    answer = requests.post(server.root_url + path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def generate(server, prompt, **fields):
    """Returns the only choice of a greedy answer, with token ids."""
    body = {"prompt": prompt, "temperature": 0, "max_tokens": 300, "return_token_ids": True}
    return post(server, "/v1/completions", body | fields)["choices"][0]


def score(server, prompt, **fields):
    """Returns the only choice of an answer without any generated token."""
    return post(server, "/v1/completions", {"prompt": prompt, "max_tokens": 0} | fields)["choices"][0]


def test_generated_tokens_get_the_same_numbers_as_a_prompt(client, server):
    """Greedy answers, with the token that ends them, are scored as the end of a prompt: bit for bit the same."""
    for prompt in (QUESTION, STORY):
        generated = generate(server, prompt, logprobs=3)
        begin, tokens = generated["prompt_token_ids"], generated["token_ids"]
        assert len(tokens) > 8
        scored = client.completions.create(
            model=server.model, prompt=begin + tokens, echo=True, logprobs=3, max_tokens=0
        )
        assert scored.usage.completion_tokens == 0 and scored.usage.prompt_tokens == len(begin) + len(tokens)
        logprobs = scored.choices[0].logprobs
        assert logprobs.token_logprobs[0] is None and logprobs.top_logprobs[0] is None
        assert len(logprobs.token_logprobs) == len(begin) + len(tokens)
        wanted = generated["logprobs"]
        assert logprobs.tokens[len(begin) :] == wanted["tokens"]
        assert logprobs.token_logprobs[len(begin) :] == wanted["token_logprobs"]
        assert logprobs.top_logprobs[len(begin) :] == wanted["top_logprobs"]


def test_sum_over_an_answer_is_its_log_likelihood(client, server):
    generated = generate(server, QUESTION, logprobs=0)
    assert generated["text"] == ANSWER
    scored = client.completions.create(
        model=server.model, prompt=QUESTION + ANSWER, echo=True, logprobs=0, max_tokens=0, temperature=0
    ).choices[0]
    assert scored.text == QUESTION + ANSWER
    begin = scored.logprobs.text_offset.index(len(QUESTION))
    *numbers, end = generated["logprobs"]["token_logprobs"]  # the last token ends the answer and has no text
    assert math.fsum(scored.logprobs.token_logprobs[begin:]) == math.fsum(numbers)
    worse = score(server, QUESTION + ANSWER.replace("Paris", "London"), echo=True, logprobs=0)
    assert math.fsum(worse["logprobs"]["token_logprobs"][begin:]) < math.fsum(numbers) - 1


def test_greedy_tokens_have_rank_1(server):
    generated = generate(server, QUESTION)
    begin, tokens = generated["prompt_token_ids"], generated["token_ids"]
    entries = score(server, begin + tokens, prompt_logprobs=20)["prompt_logprobs"]
    assert entries[0] is None and len(entries) == len(begin) + len(tokens)
    for token, entry in zip(begin[1:] + tokens, entries[1:]):
        own, *others = entry.items()
        assert own[0] == str(token)
        assert len(entry) == (20 if own[1]["rank"] <= 20 else 21)
        by_rank = sorted(entry.values(), key=lambda one: one["rank"])
        assert [one["rank"] for one in by_rank[:20]] == list(range(1, 21))
        numbers = [one["logprob"] for one in by_rank]
        assert numbers == sorted(numbers, reverse=True)
        assert sum(map(math.exp, numbers)) < 1.0001
    assert [entry[str(token)]["rank"] for token, entry in zip(tokens, entries[len(begin) :])] == [1] * len(tokens)
    text = "".join(entry[str(token)]["decoded_token"] for token, entry in zip(tokens, entries[len(begin) :]))
    assert text == ANSWER + "</s>"


def test_both_forms_have_the_same_numbers(server):
    both = score(server, QUESTION + ANSWER, echo=True, logprobs=2, prompt_logprobs=2)
    for number, top, entry in zip(
        both["logprobs"]["token_logprobs"][1:], both["logprobs"]["top_logprobs"][1:], both["prompt_logprobs"][1:]
    ):
        assert next(iter(entry.values()))["logprob"] == number
        assert sorted(top.values()) == sorted(one["logprob"] for one in entry.values())


def test_offsets_point_at_the_tokens_of_prompt_and_answer(client, server):
    prompts = ["안녕하세요 \n  two spaces", " a leading space", "", "솔"]
    fields = {"model": server.model, "echo": True, "logprobs": 0, "temperature": 0}
    continued = client.completions.create(prompt=QUESTION, max_tokens=8, n=2, **fields).choices
    alone = client.completions.create(prompt=prompts, max_tokens=0, **fields).choices
    for choice, prompt in zip(continued + alone, [QUESTION] * 2 + prompts, strict=True):
        logprobs = choice.logprobs
        assert choice.text.startswith(prompt)
        assert logprobs.text_offset == sorted(logprobs.text_offset)
        assert len(logprobs.tokens) == len(logprobs.text_offset) == len(logprobs.token_logprobs)
        seen = False  # the tokenizer puts a space before the first word, which is not in the text
        assert (logprobs.tokens[0], logprobs.text_offset[0]) == ("<s>", 0)
        for token, offset in zip(logprobs.tokens[1:], logprobs.text_offset[1:]):
            if not token.startswith("bytes:"):
                word = token if seen else token.removeprefix(" ")
                assert choice.text[offset:].startswith(word), (choice.text, token, offset)
            seen = seen or token != ""


def test_chunks_have_together_what_the_whole_answer_has(client, server):
    fields = {"prompt": [QUESTION, "Hello"], "echo": True, "logprobs": 2, "n": 2, "max_tokens": 6, "temperature": 0}
    whole = client.completions.create(model=server.model, **fields)
    joined = {choice.index: {"text": "", "tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []} for choice in whole.choices}  # fmt: skip
    for chunk in client.completions.create(model=server.model, stream=True, **fields):
        choice = chunk.choices[0]
        joined[choice.index]["text"] += choice.text
        for name, items in choice.logprobs.model_dump().items() if choice.logprobs else ():
            joined[choice.index][name] += items
    for choice in whole.choices:
        assert joined[choice.index] == {"text": choice.text} | choice.logprobs.model_dump()


def test_chat_answers_have_the_numbers_of_their_prompt(client, server):
    answer = client.chat.completions.create(
        model=server.model,
        messages=[{"role": "user", "content": "What is the capital of France?"}],
        temperature=0,
        extra_body={"prompt_logprobs": 1, "return_token_ids": True},
    )
    assert answer.choices[0].message.content == ANSWER
    assert answer.prompt_logprobs == score(server, answer.prompt_token_ids, prompt_logprobs=1)["prompt_logprobs"]
    begun = {"role": "assistant", "content": ANSWER}
    scored = client.chat.completions.create(
        model=server.model,
        messages=[{"role": "user", "content": "What is the capital of France?"}, begun],
        max_completion_tokens=0,
        extra_body={"prompt_logprobs": 0, "continue_final_message": True},
    )
    assert scored.choices[0].message.content == "" and scored.choices[0].finish_reason == "length"
    assert scored.prompt_logprobs == score(server, QUESTION + ANSWER, prompt_logprobs=0)["prompt_logprobs"]


def test_step_sizes_and_other_requests_change_no_number(server, start_server):
    story = generate(server, STORY)
    prompt = story["prompt_token_ids"] + story["token_ids"]
    alone = score(server, prompt, prompt_logprobs=4)
    assert len(alone["prompt_logprobs"]) > 100
    with start_server("--max-num-batched-tokens", "16") as slow:
        assert score(slow, prompt, prompt_logprobs=4) == alone
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        others = [pool.submit(generate, server, QUESTION) for _ in range(24)]
        scored = [pool.submit(score, server, prompt, prompt_logprobs=4) for _ in range(8)]
        assert all(one.result() == alone for one in scored)
        assert all(one.result()["text"] == ANSWER for one in others)


def test_what_cannot_be_served_is_refused_by_name(client, server):
    for fields, param in (
        ({"stream": True, "extra_body": {"prompt_logprobs": 1}}, "prompt_logprobs"),
        ({"extra_body": {"prompt_logprobs": 21}}, "prompt_logprobs"),
        ({"extra_body": {"prompt_logprobs": -1}}, "prompt_logprobs"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 0, "logprobs": 1}, "max_tokens"),
    ):
        with pytest.raises(openai.BadRequestError) as refusal:
            client.completions.create(model=server.model, prompt="a", **fields)
        assert refusal.value.param == param
    with pytest.raises(openai.BadRequestError) as refusal:
        client.responses.create(model=server.model, input="a", extra_body={"prompt_logprobs": 1})
    assert refusal.value.param == "prompt_logprobs" and refusal.value.code == "unsupported_parameter"
