"""OpenAI's Agents SDK for Python with the real server, over chat completions and over Responses."""

import asyncio

import pytest

from support import client_library

agents = client_library("agents")
openai = client_library("openai")

FRANCE = "What is the capital of France?"
ANSWER = "The capital of France is Paris."

agents.set_tracing_disabled(True)  # traces would go to OpenAI


@pytest.fixture(params=[agents.OpenAIChatCompletionsModel, agents.OpenAIResponsesModel], ids=["chat", "responses"])
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
    with pytest.raises(openai.BadRequestError, match="temperature must be a number from 0 to 2"):
        asyncio.run(agents.Runner.run(wrong, FRANCE))


def test_tools_are_refused_and_not_ignored(agent):
    @agents.function_tool
    def look_up(city: str) -> str:
        """Looks up a city."""
        return city

    with pytest.raises(openai.BadRequestError, match="tools is not supported by this server"):
        asyncio.run(agents.Runner.run(agent.clone(tools=[look_up]), FRANCE))
