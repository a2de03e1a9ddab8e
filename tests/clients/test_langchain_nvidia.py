"""ChatNVIDIA with the real server: the published snippet, its other methods, model lookup, errors."""

import asyncio

import pytest

from support import client_library

langchain_nvidia = client_library("langchain_nvidia_ai_endpoints")
ChatNVIDIA = langchain_nvidia.ChatNVIDIA

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]

# ChatNVIDIA warns about every model that is not in its own table.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def client(server):
    return ChatNVIDIA(base_url=server.base_url, model=server.model, temperature=0, top_p=1, max_tokens=64)


def test_published_snippet(client):
    response = client.invoke(FRANCE)
    assert "Paris" in response.content
    assert response.response_metadata["finish_reason"] == "stop"
    assert response.usage_metadata["output_tokens"] > 0


def test_stream_has_the_same_text_and_usage(client):
    whole = client.invoke(FRANCE)
    chunks = list(client.stream(FRANCE))
    assert "".join(chunk.content for chunk in chunks) == whole.content
    total = chunks[0]
    for chunk in chunks[1:]:
        total = total + chunk
    # ChatNVIDIA adds up the usage of all chunks, so exactly one chunk must contain the usage.
    assert total.usage_metadata["total_tokens"] == whole.usage_metadata["total_tokens"]
    assert total.response_metadata["finish_reason"] == "stop"


def test_batch_answers_every_question(client):
    questions = ["What is the capital of France?", "What is the capital of Italy?", "What is the capital of Japan?"]
    answers = client.batch(questions)
    assert [city in answer.content for city, answer in zip(("Paris", "Rome", "Tokyo"), answers)] == [True] * 3


def test_async_methods_have_the_same_text(client):
    async def both():
        answer = await client.ainvoke(FRANCE)
        text = "".join([chunk.content async for chunk in client.astream(FRANCE)])
        return answer.content, text

    whole, streamed = asyncio.run(both())
    assert whole == streamed
    assert "Paris" in whole


def test_model_is_looked_up_if_none_is_given(server):
    client = ChatNVIDIA(base_url=server.base_url, temperature=0, max_tokens=64)
    assert client.model == server.model
    assert "Paris" in client.invoke(FRANCE).content
    assert server.model in [model.id for model in client.available_models]


def test_completions_class(server):
    model = langchain_nvidia.NVIDIA(base_url=server.base_url, model=server.model, temperature=0, max_tokens=64)
    prompt = "### User:\nWhat is the capital of France?\n\n### Assistant:\n"
    answer = "The capital of France is Paris."
    assert model.invoke(prompt) == answer
    assert "".join(model.stream(prompt)) == answer
    assert model.batch([prompt, prompt.replace("France", "Italy")]) == [answer, "The capital of Italy is Rome."]
    assert asyncio.run(model.ainvoke(prompt)) == answer
    assert model.invoke(prompt, stop=[" is"]) == "The capital of France"
    assert langchain_nvidia.NVIDIA(base_url=server.base_url).model == server.model


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": "other"}, r"\[404\].*does not exist"),
        ({"stop": ["x" * 300]}, r"\[400\].*stop must be"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("kind", ["ChatNVIDIA", "NVIDIA"])
def test_errors_show_the_servers_message(server, kind, fields, message):
    model = getattr(langchain_nvidia, kind)(**{"base_url": server.base_url, "model": server.model} | fields)
    for ask in (model.invoke, lambda prompt: list(model.stream(prompt))):
        with pytest.raises(Exception, match=message):
            ask("Hello")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x" * 5_000_000, r"\[413\].*body is larger"),
        ("word " * 4200, r"\[400\].*maximum context length is 4096 tokens"),
        ([IMAGE], r"\[400\].*accepts only text parts"),
    ],
    ids=["too large", "no room for an answer", "image"],
)
def test_unservable_content_is_refused_with_a_reason(server, content, message):
    chat = ChatNVIDIA(base_url=server.base_url, model=server.model)
    with pytest.raises(Exception, match=message):
        chat.invoke([{"role": "user", "content": content}])


def test_wrong_path_is_named_in_the_error(server):
    chat = ChatNVIDIA(base_url=server.base_url + "/elsewhere/v1", model=server.model)
    with pytest.raises(Exception, match=r"\[404\].*There is no route POST /v1/elsewhere/v1/chat/completions"):
        chat.invoke(FRANCE)


def test_full_server_is_reported(endless_model, start_server):
    with start_server("--model", str(endless_model), "--max-num-seqs", "1", "--max-queued-requests", "0") as server:
        chat = ChatNVIDIA(base_url=server.base_url, model=server.model, max_tokens=3000)
        stream = chat.stream(FRANCE)
        next(stream)
        with pytest.raises(Exception, match=r"\[503\].*The waiting queue is full"):
            chat.invoke(FRANCE)
        stream.close()
        server.wait_until_idle()


def test_tool_is_called(client):
    parameters = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "look_up", "description": "Looks up.", "parameters": parameters}}
    bound = client.bind_tools([tool], tool_choice="look_up", parallel_tool_calls=False)
    whole, streamed = bound.invoke(FRANCE), None
    for chunk in bound.stream(FRANCE):
        streamed = chunk if streamed is None else streamed + chunk
    for message in (whole, streamed):
        (call,) = message.tool_calls
        assert (call["name"], call["args"]) == ("look_up", {"city": "Paris"})


def test_structured_output(client):
    cities = ["Paris", "Rome", "Tokyo"]
    schema = {"title": "City", "type": "object", "properties": {"name": {"enum": cities}}, "required": ["name"]}
    assert client.with_structured_output(schema).invoke(FRANCE)["name"] in cities
