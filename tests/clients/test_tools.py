"""Tools through the official SDK of OpenAI: chats and responses, whole, streamed and over the WebSocket."""

import json
from typing import Literal

import pytest

from support import client_library

jsonschema = client_library("jsonschema")
openai = client_library("openai")
pydantic = client_library("pydantic")

PARAMETERS = {
    "type": "object",
    "properties": {
        "size": {"type": "string", "enum": ["small", "large"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
        "extra": {"type": "array", "items": {"enum": ["milk", "sugar"]}, "maxItems": 2},
    },
    "required": ["size", "count", "extra"],
    "additionalProperties": False,
}
CHAT_TOOLS = [
    {"type": "function", "function": {"name": "order", "description": "Orders coffee.", "parameters": PARAMETERS}},
    {"type": "function", "function": {"name": "leave", "parameters": {"type": "object", "properties": {}}}},
]
RESPONSE_TOOLS = [{"type": "function", "strict": True, **CHAT_TOOLS[0]["function"]}, {"type": "function", **CHAT_TOOLS[1]["function"]}]
ORDER = {"type": "function", "function": {"name": "order"}}
MESSAGES = [{"role": "user", "content": "Two large coffees."}]
SETTINGS = {"max_tokens": 120, "temperature": 1}


@pytest.fixture
def client(server):
    return openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)


def check_order(call):
    assert call.type == "function" and call.id.startswith("call_") and call.function.name == "order"
    jsonschema.validate(json.loads(call.function.arguments), PARAMETERS)


@pytest.mark.parametrize("seed", range(4))
def test_chat_calls_the_named_tool_and_goes_on_with_its_result(client, server, seed):
    reply = client.chat.completions.create(
        model=server.model, messages=MESSAGES, tools=CHAT_TOOLS, tool_choice=ORDER, parallel_tool_calls=False, seed=seed, **SETTINGS
    )
    choice = reply.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    (call,) = choice.message.tool_calls
    check_order(call)
    history = [*MESSAGES, choice.message, {"role": "tool", "tool_call_id": call.id, "content": "done"}]
    after = client.chat.completions.create(model=server.model, messages=history, tools=CHAT_TOOLS, seed=seed, **SETTINGS)
    assert after.usage.prompt_tokens > reply.usage.prompt_tokens
    assert after.choices[0].message.content or after.choices[0].message.tool_calls


def test_streamed_calls_are_those_of_the_whole_answer(client, server):
    request = {"model": server.model, "messages": MESSAGES, "tools": CHAT_TOOLS, "tool_choice": "required", "seed": 3, **SETTINGS}
    whole = client.chat.completions.create(**request).choices[0]
    with client.chat.completions.stream(**{name: value for name, value in request.items()}) as stream:
        types = [event.type for event in stream]
        final = stream.get_final_completion().choices[0] if whole.finish_reason != "length" else stream.current_completion_snapshot.choices[0]
    assert "tool_calls.function.arguments.delta" in types
    assert final.finish_reason == whole.finish_reason
    calls = [[(call.function.name, call.function.arguments) for call in one.message.tool_calls] for one in (whole, final)]
    assert calls[0] == calls[1]


def test_pydantic_tool_is_parsed(client, server):
    class Order(pydantic.BaseModel):
        """Orders coffee."""

        size: Literal["small", "large"]
        count: int = pydantic.Field(ge=0, le=99)

    reply = client.chat.completions.parse(
        model=server.model,
        messages=MESSAGES,
        tools=[openai.pydantic_function_tool(Order)],
        tool_choice={"type": "function", "function": {"name": "Order"}},
        parallel_tool_calls=False,
        seed=5,
        max_tokens=400,
    )
    (call,) = reply.choices[0].message.tool_calls
    assert isinstance(call.function.parsed_arguments, Order)


def test_response_calls_the_named_tool_and_goes_on_with_its_output(client, server):
    settings = {"model": server.model, "tools": RESPONSE_TOOLS, "parallel_tool_calls": False}
    first = client.responses.create(
        input="Two large coffees.", tool_choice={"type": "function", "name": "order"}, max_output_tokens=120, **settings
    )
    assert first.status == "completed" and first.tools[0].name == "order"
    (call,) = first.output
    assert call.type == "function_call" and call.status == "completed"
    jsonschema.validate(json.loads(call.arguments), PARAMETERS)
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "done"}
    continued = client.responses.create(input=[output], previous_response_id=first.id, max_output_tokens=5, **settings)
    replayed = client.responses.create(
        input=[{"role": "user", "content": "Two large coffees."}, call, output], max_output_tokens=5, **settings
    )
    assert continued.usage.input_tokens == replayed.usage.input_tokens > first.usage.input_tokens


def test_response_streams_calls(client, server):
    with client.responses.stream(
        model=server.model,
        input="Two large coffees.",
        tools=RESPONSE_TOOLS,
        tool_choice="required",
        parallel_tool_calls=False,
        max_output_tokens=120,
    ) as stream:
        events = list(stream)
        final = stream.get_final_response()
    (call,) = final.output
    deltas = [event.delta for event in events if event.type == "response.function_call_arguments.delta"]
    assert "".join(deltas) == call.arguments
    assert [event.item.type for event in events if event.type == "response.output_item.done"] == ["function_call"]
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers))


def test_prewarmed_socket_answers_with_a_call(client, server):
    settings = {"model": server.model, "tools": RESPONSE_TOOLS, "tool_choice": "required", "parallel_tool_calls": False}
    with client.responses.connect() as connection:
        connection.send({"type": "response.create", "input": "Two large coffees.", "generate": False, **settings})
        first = next(event.response for event in connection if event.type == "response.completed")
        assert first.output == []
        connection.send({"type": "response.create", "input": [], "previous_response_id": first.id, "max_output_tokens": 120, **settings})
        last = next(event.response for event in connection if event.type in ("response.completed", "response.incomplete"))
    assert last.status == "completed" and last.output[0].type == "function_call"


@pytest.mark.parametrize(
    "tool, param",
    [
        ({"type": "web_search"}, "tools[0].type"),
        ({"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}}, "tools[0].format.syntax"),
        ({"type": "function", "name": "f", "parameters": {"type": "object", "properties": {"a": {"pattern": "(?=a)"}}}}, "tools[0].parameters"),
    ],
    ids=["hosted", "grammar", "schema"],
)
def test_tools_that_cannot_be_served_are_refused_by_name(client, server, tool, param):
    with pytest.raises(openai.BadRequestError) as refusal:
        client.responses.create(model=server.model, input="Hi", tools=[tool])
    assert refusal.value.param == param
    client.responses.create(model=server.model, input="Hi", tools=[tool], tool_choice="none", max_output_tokens=5)
