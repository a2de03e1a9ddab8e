"""OpenAI's Agents SDK for Python with the real server, over chat completions and over Responses (HTTP and WebSocket)."""

import asyncio
from typing import Literal

import pytest

from support import client_library

agents = client_library("agents")
responses = client_library("agents.models.openai_responses")
handoff_filters = client_library("agents.extensions.handoff_filters")
openai = client_library("openai")
pydantic = client_library("pydantic")

FRANCE = "What is the capital of France?"
ANSWER = "The capital of France is Paris."

agents.set_tracing_disabled(True)  # traces would go to OpenAI


MODELS = [agents.OpenAIChatCompletionsModel, agents.OpenAIResponsesModel, responses.OpenAIResponsesWSModel]


@pytest.fixture(params=MODELS, ids=["chat", "responses", "websocket"])
def agent(request, server):
    client = openai.AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0)
    model = request.param(model=server.model, openai_client=client)
    settings = agents.ModelSettings(temperature=0, max_tokens=4096)
    return agents.Agent(name="demo", instructions="Be brief.", model=model, model_settings=settings)


def test_answer_and_conversation(agent):
    async def ask_twice():
        first = await agents.Runner.run(agent, FRANCE)
        replayed = [*first.to_input_list(), {"role": "user", "content": "7 * 8"}]
        second = await agents.Runner.run(agent, replayed)
        return first.final_output, second.final_output

    assert asyncio.run(ask_twice()) == (ANSWER, "7 * 8 = 56.")


def test_stream(agent):
    async def stream():
        result = agents.Runner.run_streamed(agent, FRANCE)
        deltas = [
            event.data.delta
            async for event in result.stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]
        return "".join(deltas), result.final_output

    assert asyncio.run(stream()) == (ANSWER, ANSWER)


def test_errors_have_the_servers_message(agent):
    wrong = agent.clone(model_settings=agents.ModelSettings(temperature=3))
    errors = (openai.BadRequestError, responses.ResponsesWebSocketError)
    with pytest.raises(errors, match="temperature must be a number from 0 to 2"):
        asyncio.run(agents.Runner.run(wrong, FRANCE))


def forced(agent, **changes):
    """Returns the agent with settings that make it call a tool."""
    settings = agents.ModelSettings(temperature=0, max_tokens=200, tool_choice="required", parallel_tool_calls=False)
    return agent.clone(model_settings=settings, **changes)


@agents.function_tool
def look_up(city: Literal["Paris"]) -> str:
    """Looks up a city."""
    return f"{city} is large."


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tool_is_called(agent, stream):
    asking = forced(agent, tools=[look_up], tool_use_behavior="stop_on_first_tool")

    async def run():
        if not stream:
            return await agents.Runner.run(asking, FRANCE)
        result = agents.Runner.run_streamed(asking, FRANCE)
        async for _ in result.stream_events():
            pass
        return result

    assert asyncio.run(run()).final_output == "Paris is large."


def test_answer_follows_the_result_of_a_tool(agent):
    result = asyncio.run(agents.Runner.run(forced(agent, tools=[look_up]), FRANCE))
    assert any(item.type == "tool_call_output_item" for item in result.new_items)
    assert result.final_output


def test_handoff(agent):
    guide = agent.clone(name="guide")
    handoff = agents.handoff(guide, input_filter=handoff_filters.remove_all_tools)
    result = asyncio.run(agents.Runner.run(forced(agent, handoffs=[handoff]), FRANCE))
    assert result.last_agent.name == "guide"
    assert result.final_output == ANSWER


def test_typed_output_beside_tools(agent):
    class City(pydantic.BaseModel):
        name: Literal["Paris", "Rome"]

    asking = agent.clone(tools=[look_up], output_type=City)
    result = asyncio.run(agents.Runner.run(asking, FRANCE, max_turns=3))
    assert result.final_output.name in ("Paris", "Rome")
