"""LiteLLM with the real server as a provider of OpenAI's API."""

import asyncio

import pytest

from support import client_library

litellm = client_library("litellm")

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
PROMPT = "### User:\nWhat is the capital of France?\n\n### Assistant:\n"
ANSWER = "The capital of France is Paris."
PARAMETERS = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": PARAMETERS}}

# LiteLLM's own classes for answers cause warnings.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def options(server):
    fields = {"model": f"openai/{server.model}", "api_base": server.base_url, "api_key": "none"}
    return fields | {"temperature": 0, "max_retries": 0}


def test_completion(options):
    answer = litellm.completion(messages=FRANCE, max_tokens=64, **options)
    assert answer.choices[0].message.content == ANSWER
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_stream(options):
    chunks = list(litellm.completion(messages=FRANCE, stream=True, stream_options={"include_usage": True}, **options))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == ANSWER
    assert chunks[-1].usage.completion_tokens > 0


def test_joined_chunks_equal_the_whole_answer(options):
    whole = litellm.completion(messages=FRANCE, max_tokens=64, **options)
    fields = {"messages": FRANCE, "max_tokens": 64, "stream": True, "stream_options": {"include_usage": True}}
    rebuilt = litellm.stream_chunk_builder(list(litellm.completion(**fields, **options)))
    assert rebuilt.choices[0].message.content == whole.choices[0].message.content
    assert rebuilt.choices[0].finish_reason == whole.choices[0].finish_reason
    assert rebuilt.usage.completion_tokens == whole.usage.completion_tokens
    assert rebuilt.usage.prompt_tokens == whole.usage.prompt_tokens


def test_async(options):
    async def both():
        whole = await litellm.acompletion(messages=FRANCE, **options)
        stream = await litellm.acompletion(messages=FRANCE, stream=True, **options)
        return whole.choices[0].message.content, [chunk.choices[0].delta.content or "" async for chunk in stream]

    whole, pieces = asyncio.run(both())
    # The number of chunks depends on the load of the machine: a slow reader gets fewer and larger chunks.
    assert whole == "".join(pieces) == ANSWER


def test_batch(options):
    answers = litellm.batch_completion(messages=[FRANCE] * 3, **options)
    assert [answer.choices[0].message.content for answer in answers] == [ANSWER] * 3


@pytest.mark.parametrize("provider", ["text-completion-openai", "openai"])
def test_text_completion(options, server, provider):
    fields = options | {"model": f"{provider}/{server.model}", "max_tokens": 64}
    assert litellm.text_completion(prompt=PROMPT, **fields).choices[0].text == ANSWER
    stream = litellm.text_completion(prompt=PROMPT, stream=True, **fields)
    assert "".join(chunk.choices[0].text or "" for chunk in stream) == ANSWER


def test_text_completion_of_several_prompts(options, server):
    fields = options | {"model": f"text-completion-openai/{server.model}", "max_tokens": 64}
    answer = litellm.text_completion(prompt=[PROMPT, PROMPT.replace("France", "Italy")], **fields)
    assert [choice.text for choice in answer.choices] == [ANSWER, "The capital of Italy is Rome."]


def test_extra_fields_are_passed_on(options):
    answer = litellm.completion(messages=FRANCE, max_tokens=20, extra_body={"ignore_eos": True}, **options)
    assert answer.usage.completion_tokens == 20


@pytest.mark.parametrize(
    ("exception", "status", "fields"),
    [
        (litellm.BadRequestError, 400, {"temperature": 3}),
        (litellm.BadRequestError, 400, {"tools": [{"type": "web_search"}]}),
        (litellm.BadRequestError, 400, {"response_format": {"type": "xml"}}),
        (litellm.ContextWindowExceededError, 400, {"messages": [{"role": "user", "content": "hello " * 6000}]}),
        (litellm.APIError, 403, {"extra_headers": {"Host": "a.example"}}),  # LiteLLM has no better class for 403
        (litellm.NotFoundError, 404, {"model": "openai/other"}),
        (litellm.APIError, 413, {"messages": [{"role": "user", "content": "x" * 5_000_000}]}),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_errors_have_their_class_and_status(options, exception, status, fields):
    with pytest.raises(exception) as caught:
        litellm.completion(**{"messages": FRANCE} | options | fields)
    assert caught.value.status_code == status


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tool_is_called(options, stream):
    fields = {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False, "stream": stream}
    answer = litellm.completion(messages=FRANCE, **options | fields)
    if stream:
        answer = litellm.stream_chunk_builder(list(answer))
    (call,) = answer.choices[0].message.tool_calls
    assert (call.function.name, call.function.arguments) == ("look_up", '{"city": "Paris"}')
    assert answer.choices[0].finish_reason == "tool_calls"


def test_refused_stream_raises_before_its_first_chunk(options):
    with pytest.raises(litellm.BadRequestError, match="temperature must be a number from 0 to 2"):
        litellm.completion(messages=FRANCE, stream=True, **options | {"temperature": 3})


def test_timeout_stops_the_generation(endless_server):
    fields = {"model": f"openai/{endless_server.model}", "api_base": endless_server.base_url, "api_key": "none"}
    before = endless_server.engine()["generated_tokens"]
    with pytest.raises(litellm.Timeout):
        litellm.completion(messages=FRANCE, max_tokens=3000, timeout=0.3, max_retries=0, **fields)
    endless_server.wait_until_idle()
    assert endless_server.engine()["generated_tokens"] - before < 3000


def test_full_server_raises_service_unavailable(endless_model, start_server):
    with start_server("--model", str(endless_model), "--max-num-seqs", "1", "--max-queued-requests", "0") as server:
        fields = {"model": f"openai/{server.model}", "api_base": server.base_url, "api_key": "none", "messages": FRANCE}
        stream = litellm.completion(**fields, max_tokens=3000, stream=True)
        next(stream)
        with pytest.raises(litellm.ServiceUnavailableError, match="The waiting queue is full"):
            litellm.completion(**fields, max_tokens=2, max_retries=0)
        stream.completion_stream.close()
        server.wait_until_idle()
