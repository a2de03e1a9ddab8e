"""smolagents: an agent that calls tools until it has its answer."""

import pytest

from support import client_library

smolagents = client_library("smolagents")


class LookUp(smolagents.Tool):
    name = "look_up"
    description = "Says the capital of a country."
    inputs = {"country": {"type": "string", "enum": ["France"], "description": "the country"}}
    output_type = "string"
    calls = 0

    def forward(self, country: str) -> str:
        self.calls += 1
        return "Paris"


class FinalAnswer(smolagents.Tool):
    name = "final_answer"
    description = "Ends the work with an answer."
    inputs = {"answer": {"type": "string", "enum": ["Paris"], "description": "the answer"}}
    output_type = "string"

    def forward(self, answer: str) -> str:
        return answer


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_agent_calls_tools_until_it_has_its_answer(server, stream):
    model = smolagents.OpenAIModel(model_id=server.model, api_base=server.base_url, api_key="none", temperature=0, max_tokens=100)
    agent = smolagents.ToolCallingAgent(tools=[LookUp(), FinalAnswer()], model=model, max_steps=4, stream_outputs=stream)
    assert agent.run("What is the capital of France?") == "Paris"
    for step in agent.memory.steps:
        assert getattr(step, "error", None) is None
