"""langchain-openai against the real server."""

import pytest

from support import client_library

langchain_openai = client_library("langchain_openai")
messages = client_library("langchain_core.messages")
openai = client_library("openai")

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
PROMPT = "### User:\nWhat is the capital of France?\n\n### Assistant:\n"


@pytest.fixture
def options(server):
    return {"base_url": server.base_url, "api_key": "none", "model": server.model, "temperature": 0, "max_tokens": 64}


@pytest.fixture
def chat(options):
    return langchain_openai.ChatOpenAI(**options)


def test_invoke(chat):
    answer = chat.invoke(FRANCE)
    assert answer.content == "The capital of France is Paris."
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata["total_tokens"] > answer.usage_metadata["output_tokens"] > 0


def test_stream_with_and_without_usage(chat, options):
    whole = chat.invoke(FRANCE)
    assert "".join(chunk.content for chunk in chat.stream(FRANCE)) == whole.content
    chunks = list(langchain_openai.ChatOpenAI(**options, stream_usage=True).stream(FRANCE))
    total = chunks[0]
    for chunk in chunks[1:]:
        total = total + chunk
    assert total.content == whole.content
    assert total.usage_metadata["total_tokens"] == whole.usage_metadata["total_tokens"]


def test_batch(chat):
    answers = chat.batch([f"What is the capital of {country}?" for country in ("France", "Italy", "Japan")])
    assert [city in answer.content for city, answer in zip(("Paris", "Rome", "Tokyo"), answers)] == [True] * 3


def test_choices_and_logprobs(options):
    chat = langchain_openai.ChatOpenAI(**options, logprobs=True, top_logprobs=2)
    answer = chat.invoke(FRANCE)
    assert "".join(one["token"] for one in answer.response_metadata["logprobs"]["content"]) == answer.content
    question = messages.HumanMessage(FRANCE[0]["content"])
    result = langchain_openai.ChatOpenAI(**options, n=2).generate([[question]])
    assert len(result.generations[0]) == 2


def test_the_completions_class(options):
    model = langchain_openai.OpenAI(**options)
    assert model.invoke(PROMPT) == "The capital of France is Paris."
    assert "".join(model.stream(PROMPT)) == "The capital of France is Paris."
    assert model.batch([PROMPT, PROMPT]) == ["The capital of France is Paris."] * 2


def test_errors_are_openais(options):
    with pytest.raises(openai.BadRequestError, match="maximum context length is 4096 tokens"):
        langchain_openai.ChatOpenAI(**options | {"max_tokens": 4096}).invoke(FRANCE)
    with pytest.raises(openai.NotFoundError, match="not served"):
        langchain_openai.ChatOpenAI(**options | {"model": "other"}).invoke(FRANCE)


def test_structured_output_is_refused_instead_of_ignored(chat):
    schema = {"title": "City", "description": "A city.", "type": "object", "properties": {"name": {"type": "string"}}}
    for method in ("json_schema", "function_calling", "json_mode"):
        with pytest.raises(openai.BadRequestError, match="not supported"):
            chat.with_structured_output(schema, method=method).invoke(FRANCE)
