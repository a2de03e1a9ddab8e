"""pydantic-ai with the real server, over chat completions and over Responses."""

import asyncio
from typing import Literal

import pytest

from support import client_library

pydantic = client_library("pydantic")
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


class City(pydantic.BaseModel):
    """A city."""

    name: Literal["Paris"]


@pytest.mark.parametrize("kind", [pydantic_ai.ToolOutput, pydantic_ai.NativeOutput], ids=["tool", "schema"])
def test_typed_output(agent, kind):
    settings = {"parallel_tool_calls": False, "max_tokens": 200}
    assert agent.run_sync(FRANCE, output_type=kind(City), model_settings=settings).output == City(name="Paris")


def test_tool_is_called(agent):
    asked = []

    @agent.tool_plain
    def look_up(city: Literal["Paris"]) -> str:
        """Looks up a city."""
        asked.append(city)
        return f"{city} is large."

    settings = {"parallel_tool_calls": False, "max_tokens": 200, "extra_body": {"tool_choice": "required"}}
    with pytest.raises(exceptions.UsageLimitExceeded):
        agent.run_sync(FRANCE, model_settings=settings, usage_limits=pydantic_ai.UsageLimits(request_limit=2))
    assert asked == ["Paris", "Paris"]
