"""pydantic-ai with the real server, over chat completions and over Responses."""

import asyncio

import pytest

from support import client_library

pydantic_ai = client_library("pydantic_ai")
exceptions = client_library("pydantic_ai.exceptions")
models = client_library("pydantic_ai.models.openai")
providers = client_library("pydantic_ai.providers.openai")

FRANCE = "What is the capital of France?"
ANSWER = "The capital of France is Paris."


@pytest.fixture(params=[models.OpenAIChatModel, models.OpenAIResponsesModel], ids=["chat", "responses"])
def agent(request, server):
    provider = providers.OpenAIProvider(base_url=server.base_url, api_key="none")
    settings = {"temperature": 0, "max_tokens": 4096}
    return pydantic_ai.Agent(request.param(server.model, provider=provider), model_settings=settings)


def test_answer_and_conversation(agent):
    first = agent.run_sync(FRANCE)
    assert first.output == ANSWER
    second = agent.run_sync("7 * 8", message_history=first.all_messages())
    assert second.output == "7 * 8 = 56."


def test_stream(agent):
    async def stream():
        async with agent.run_stream(FRANCE) as answer:
            return [piece async for piece in answer.stream_text(delta=True)]

    assert "".join(asyncio.run(stream())) == ANSWER


def test_errors_have_the_servers_message(agent):
    with pytest.raises(exceptions.ModelHTTPError, match="temperature must be a number from 0 to 2") as caught:
        agent.run_sync(FRANCE, model_settings={"temperature": 3})
    assert caught.value.status_code == 400


def test_tools_are_refused_and_not_ignored(agent):
    agent.tool_plain(lambda city: city, name="look_up")
    with pytest.raises(exceptions.ModelHTTPError, match="tools is not supported by this server"):
        agent.run_sync(FRANCE)
