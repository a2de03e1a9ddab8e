"""LiteLLM against the real server, as a provider that speaks OpenAI."""

import os

import pytest

from support import client_library

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network for prices

litellm = client_library("litellm")

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
def options(server):
    return {"model": f"openai/{server.model}", "api_base": server.base_url, "api_key": "none", "temperature": 0}


def test_completion(options):
    answer = litellm.completion(messages=FRANCE, max_tokens=64, **options)
    assert answer.choices[0].message.content == "The capital of France is Paris."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_stream(options):
    chunks = list(litellm.completion(messages=FRANCE, stream=True, stream_options={"include_usage": True}, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "The capital of France is Paris."
    assert chunks[-1].usage.completion_tokens > 0


def test_text_completion(options, server):
    answer = litellm.text_completion(
        prompt="### User:\nWhat is the capital of France?\n\n### Assistant:\n",
        max_tokens=64,
        **options | {"model": f"text-completion-openai/{server.model}"},
    )
    assert answer.choices[0].text == "The capital of France is Paris."


def test_errors_are_of_their_class(options):
    with pytest.raises(litellm.BadRequestError, match="temperature"):
        litellm.completion(messages=FRANCE, **options | {"temperature": 3})
    with pytest.raises(litellm.ContextWindowExceededError):
        litellm.completion(messages=FRANCE, max_tokens=4096, **options)
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(messages=FRANCE, **options | {"model": "openai/other"})
