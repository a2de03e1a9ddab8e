"""Model folders with a tokenizer.json: the demonstration model with its tokenizer as transformers converts it."""

import json
import shutil

import pytest

from support import ROOT, client_library

openai = client_library("openai")
requests = client_library("requests")

CONVERTED = ROOT / "tests/tokenizers/data/demo/tokenizer.json"
FRANCE = {"model": "", "temperature": 0, "messages": [{"role": "user", "content": "What is the capital of France?"}]}


@pytest.fixture
def folder(tmp_path):
    """A copy of the demonstration model with a tokenizer.json and without its tokenizer.model."""
    copy = tmp_path / "model"
    shutil.copytree(ROOT / "config/demo-model", copy, ignore=shutil.ignore_patterns("tokenizer.model"))
    shutil.copy(CONVERTED, copy)
    return copy


def tokenize(server, text, **fields):
    return requests.post(server.root_url + "/tokenize", json={"prompt": text, **fields}).json()["tokens"]


@pytest.mark.parametrize("both", [False, True], ids=["tokenizer.json alone", "beside tokenizer.model"])
def test_answers_are_those_of_the_sentencepiece_model(start_server, server, folder, both):
    if both:
        (folder / "tokenizer.model").write_text("This file is not read, because tokenizer.json comes first.")
    with start_server("--model", str(folder)) as started:
        client = openai.OpenAI(base_url=started.base_url, api_key="none")
        assert client.chat.completions.create(**FRANCE).choices[0].message.content == "The capital of France is Paris."
        streamed = client.chat.completions.create(**FRANCE, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in streamed) == "The capital of France is Paris."
        for text in ("Hello world", " two  spaces", "한국어 😀\n", "", "<s></s>", "a" * 10_000):
            assert tokenize(started, text) == tokenize(server, text)


def test_added_tokens_have_their_ids_and_their_text(start_server, folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "added_tokens.json").write_text(json.dumps({"<|beyond|>": config["vocab_size"] + 5}))
    tokenizer = json.loads(CONVERTED.read_text())
    last = max(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].get)
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    tokenizer["added_tokens"].append({"id": tokenizer["model"]["vocab"][last], "content": last} | flags)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with start_server("--model", str(folder)) as started:
        token = tokenizer["model"]["vocab"][last]
        assert token in tokenize(started, f"x{last}x", add_special_tokens=False)
        text = requests.post(started.root_url + "/detokenize", json={"tokens": [token]}).json()["prompt"]
        assert text == last.replace("\u2581", " ").lstrip(" ")
        # The model has no embedding of this token.
        refusal = requests.post(started.root_url + "/v1/completions", json={"prompt": "a <|beyond|>", "max_tokens": 1})
        assert refusal.status_code == 400 and refusal.json()["error"]["param"] == "prompt"
        assert tokenize(started, "<|beyond|>", parse_special=False)


def test_pattern_that_reaches_its_limit_is_an_error_of_the_request(start_server, folder):
    tokenizer = json.loads(CONVERTED.read_text())
    tokenizer["pre_tokenizer"] = {"type": "Split", "pattern": {"Regex": "(?:a|aa)+[bc]"}, "behavior": "Isolated", "invert": False}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with start_server("--model", str(folder)) as started:
        assert tokenize(started, "aab")
        client = openai.OpenAI(base_url=started.base_url, api_key="none", max_retries=0)
        for long in (1000, 20_000):
            with pytest.raises(openai.BadRequestError) as refusal:
                client.completions.create(model="", prompt="a" * long, max_tokens=1)
            assert refusal.value.param == "prompt" and "(?:a|aa)+[bc]" in refusal.value.message
        assert client.chat.completions.create(**FRANCE).choices[0].message.content == "The capital of France is Paris."
