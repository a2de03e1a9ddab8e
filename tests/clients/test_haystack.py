"""Haystack's generators with the real server."""

import os

import pytest

from support import client_library

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"  # otherwise Haystack reports to its makers

client_library("haystack")
chat = client_library("haystack.components.generators.chat")
openai = client_library("openai")

from haystack.dataclasses import ChatMessage  # noqa: E402
from haystack.utils import Secret  # noqa: E402

FRANCE = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
SETTINGS = {"temperature": 0, "max_tokens": 4096}


@pytest.fixture
def options(server):
    return {"api_base_url": server.base_url, "api_key": Secret.from_token("none"), "model": server.model}


@pytest.fixture(params=["OpenAIChatGenerator", "OpenAIResponsesChatGenerator"], ids=["chat", "responses"])
def generator(request, options):
    names = {"OpenAIResponsesChatGenerator": {"temperature": 0, "max_output_tokens": 4096}}
    settings = names.get(request.param, SETTINGS)
    return getattr(chat, request.param)(**options, generation_kwargs=settings, max_retries=0)


def ask(generator, **fields):
    question = ChatMessage.from_user(FRANCE)
    return generator.run([question], **fields)["replies"][0]


def test_answer_and_conversation(generator):
    first = ask(generator)
    assert first.text == ANSWER
    history = [ChatMessage.from_user(FRANCE), first, ChatMessage.from_user("7 * 8")]
    assert generator.run(history)["replies"][0].text == "7 * 8 = 56."


def test_stream(generator):
    pieces = []
    answer = ask(generator, streaming_callback=lambda chunk: pieces.append(chunk.content))
    assert answer.text == "".join(pieces) == ANSWER


def test_errors_have_the_servers_message(generator):
    with pytest.raises(openai.BadRequestError, match="temperature must be a number from 0 to 2"):
        ask(generator, generation_kwargs={"temperature": 3})
