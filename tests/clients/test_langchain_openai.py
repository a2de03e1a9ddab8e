"""langchain-openai with the real server."""

import asyncio

import pytest

from support import client_library

langchain_openai = client_library("langchain_openai")
messages = client_library("langchain_core.messages")
openai = client_library("openai")

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
PROMPT = "### User:\nWhat is the capital of France?\n\n### Assistant:\n"


@pytest.fixture
def options(server):
    return {"base_url": server.base_url, "api_key": "none", "model": server.model, "temperature": 0, "max_tokens": 64}


@pytest.fixture
def chat(options):
    return langchain_openai.ChatOpenAI(**options)


def test_invoke(chat):
    answer = chat.invoke(FRANCE)
    assert answer.content == "The capital of France is Paris."
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.usage_metadata["total_tokens"] > answer.usage_metadata["output_tokens"] > 0


def test_stream_with_and_without_usage(chat, options):
    whole = chat.invoke(FRANCE)
    assert "".join(chunk.content for chunk in chat.stream(FRANCE)) == whole.content
    chunks = list(langchain_openai.ChatOpenAI(**options, stream_usage=True).stream(FRANCE))
    total = chunks[0]
    for chunk in chunks[1:]:
        total = total + chunk
    assert total.content == whole.content
    assert total.usage_metadata["total_tokens"] == whole.usage_metadata["total_tokens"]


def test_usage_is_absent_unless_requested(chat):
    chunks = list(chat.stream(FRANCE))
    assert "".join(chunk.content for chunk in chunks) and not any(chunk.usage_metadata for chunk in chunks)


def test_async(chat, options):
    async def all_forms():
        whole = await chat.ainvoke(FRANCE)
        streamed = [chunk.content async for chunk in chat.astream(FRANCE)]
        batch = await chat.abatch([FRANCE, FRANCE])
        text = await langchain_openai.OpenAI(**options).ainvoke(PROMPT)
        return {whole.content, "".join(streamed), *(answer.content for answer in batch), text}

    assert asyncio.run(all_forms()) == {"The capital of France is Paris."}


def test_stop(chat, options):
    assert chat.invoke(FRANCE, stop=[" is"]).content == "The capital of France"
    assert langchain_openai.OpenAI(**options).invoke(PROMPT, stop=[" is"]) == "The capital of France"


def test_batch(chat):
    answers = chat.batch([f"What is the capital of {country}?" for country in ("France", "Italy", "Japan")])
    assert [city in answer.content for city, answer in zip(("Paris", "Rome", "Tokyo"), answers)] == [True] * 3


def test_choices_and_logprobs(options):
    chat = langchain_openai.ChatOpenAI(**options, logprobs=True, top_logprobs=2)
    answer = chat.invoke(FRANCE)
    assert "".join(one["token"] for one in answer.response_metadata["logprobs"]["content"]) == answer.content + "</s>"
    question = messages.HumanMessage(FRANCE[0]["content"])
    result = langchain_openai.ChatOpenAI(**options, n=2).generate([[question]])
    assert len(result.generations[0]) == 2


def test_completions_class(options):
    model = langchain_openai.OpenAI(**options)
    assert model.invoke(PROMPT) == "The capital of France is Paris."
    assert "".join(model.stream(PROMPT)) == "The capital of France is Paris."
    assert model.batch([PROMPT, PROMPT]) == ["The capital of France is Paris."] * 2


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("fields", "exception", "message"),
    [
        ({"temperature": 3}, openai.BadRequestError, "temperature must be a number from 0 to 2"),
        ({"model": "other"}, openai.NotFoundError, "does not exist"),
        ({"default_headers": {"Host": "a.example"}}, openai.PermissionDeniedError, r"a\.example"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_errors_have_the_classes_of_the_openai_package(options, fields, exception, message, stream):
    for kind, question in ((langchain_openai.ChatOpenAI, FRANCE), (langchain_openai.OpenAI, PROMPT)):
        model = kind(**options | fields)
        with pytest.raises(exception, match=message):
            list(model.stream(question)) if stream else model.invoke(question)


def test_timeout_stops_the_generation(endless_server):
    options = {"base_url": endless_server.base_url, "api_key": "none", "model": endless_server.model}
    before = endless_server.engine()["generated_tokens"]
    with pytest.raises(openai.APITimeoutError):
        langchain_openai.ChatOpenAI(**options, max_tokens=3000, timeout=0.3, max_retries=0).invoke(FRANCE)
    endless_server.wait_until_idle()
    assert endless_server.engine()["generated_tokens"] - before < 3000


def test_full_server_raises_the_openai_packages_internal_server_error(endless_model, start_server):
    with start_server("--model", str(endless_model), "--max-num-seqs", "1", "--max-queued-requests", "0") as server:
        options = {"base_url": server.base_url, "api_key": "none", "model": server.model, "max_retries": 0}
        stream = langchain_openai.ChatOpenAI(**options, max_tokens=3000).stream(FRANCE)
        next(stream)
        with pytest.raises(openai.InternalServerError, match="The waiting queue is full"):
            langchain_openai.ChatOpenAI(**options, max_tokens=2).invoke(FRANCE)
        stream.close()
        server.wait_until_idle()


def test_tool_is_called(chat):
    parameters = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}
    tool = {"name": "look_up", "description": "Looks up.", "parameters": parameters}
    bound = chat.bind_tools([tool], tool_choice="look_up", parallel_tool_calls=False)
    whole, streamed = bound.invoke(FRANCE), None
    for chunk in bound.stream(FRANCE):
        streamed = chunk if streamed is None else streamed + chunk
    for message in (whole, streamed):
        (call,) = message.tool_calls
        assert (call["name"], call["args"]) == ("look_up", {"city": "Paris"})


def test_structured_output_by_a_tool(chat):
    schema = {"title": "City", "type": "object", "properties": {"name": {"enum": ["Paris"]}}, "required": ["name"]}
    assert chat.with_structured_output(schema, method="function_calling").invoke(FRANCE) == {"name": "Paris"}


def test_structured_output(chat):
    cities = ["Paris", "Rome", "Tokyo"]
    schema = {"title": "City", "description": "A city.", "type": "object", "properties": {"name": {"enum": cities}}, "required": ["name"]}
    answer = chat.with_structured_output(schema, method="json_schema").invoke(FRANCE)
    assert set(answer) == {"name"} and answer["name"] in cities
