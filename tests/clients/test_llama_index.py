"""LlamaIndex's class for OpenAI-like servers with the real server."""

import asyncio

import pytest

from support import client_library

llms = client_library("llama_index.core.llms")
openai = client_library("openai")
openai_like = client_library("llama_index.llms.openai_like")

FRANCE = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
PROMPT = f"### User:\n{FRANCE}\n\n### Assistant:\n"


@pytest.fixture
def options(server):
    fields = {"model": server.model, "api_base": server.base_url, "api_key": "none", "max_retries": 0}
    return fields | {"temperature": 0, "max_tokens": 4096, "context_window": 4096}


@pytest.fixture
def chat(options):
    return openai_like.OpenAILike(**options, is_chat_model=True)


def test_answers_of_chat_and_completions(chat, options):
    question = llms.ChatMessage(role="user", content=FRANCE)
    assert chat.chat([question]).message.content == ANSWER
    assert asyncio.run(chat.achat([question])).message.content == ANSWER
    assert openai_like.OpenAILike(**options, is_chat_model=False).complete(PROMPT).text == ANSWER


def test_streams_of_chat_and_completions(chat, options):
    question = llms.ChatMessage(role="user", content=FRANCE)
    assert "".join(chunk.delta or "" for chunk in chat.stream_chat([question])) == ANSWER
    text = openai_like.OpenAILike(**options, is_chat_model=False)
    assert "".join(chunk.delta or "" for chunk in text.stream_complete(PROMPT)) == ANSWER


@pytest.mark.parametrize("is_chat", [True, False], ids=["chat", "completions"])
def test_errors_have_the_servers_message(options, is_chat):
    model = openai_like.OpenAILike(**options, is_chat_model=is_chat)
    with pytest.raises(openai.BadRequestError, match="top_p must be a number from 0 to 1"):
        model.complete(PROMPT, top_p=3)
