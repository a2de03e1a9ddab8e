"""ChatNVIDIA against the real server: the published snippet, its other call forms, model lookup, errors."""

import asyncio

import pytest

from support import client_library, make_key

langchain_nvidia = client_library("langchain_nvidia_ai_endpoints")
ChatNVIDIA = langchain_nvidia.ChatNVIDIA

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]

# It warns about every model that is not in its own table.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def client(server):
    return ChatNVIDIA(base_url=server.base_url, model=server.model, temperature=0, top_p=1, max_tokens=64)


def test_snippet(client):
    response = client.invoke(FRANCE)
    assert "Paris" in response.content
    assert response.response_metadata["finish_reason"] == "stop"
    assert response.usage_metadata["output_tokens"] > 0


def test_stream(client):
    whole = client.invoke(FRANCE)
    chunks = list(client.stream(FRANCE))
    assert "".join(chunk.content for chunk in chunks) == whole.content
    total = chunks[0]
    for chunk in chunks[1:]:
        total = total + chunk
    # Usage is summed over the chunks, so it must stand on exactly one of them.
    assert total.usage_metadata["total_tokens"] == whole.usage_metadata["total_tokens"]
    assert total.response_metadata["finish_reason"] == "stop"


def test_batch(client):
    questions = ["What is the capital of France?", "What is the capital of Italy?", "What is the capital of Japan?"]
    answers = client.batch(questions)
    assert [city in answer.content for city, answer in zip(("Paris", "Rome", "Tokyo"), answers)] == [True] * 3


def test_async(client):
    async def both():
        answer = await client.ainvoke(FRANCE)
        text = "".join([chunk.content async for chunk in client.astream(FRANCE)])
        return answer.content, text

    whole, streamed = asyncio.run(both())
    assert whole == streamed
    assert "Paris" in whole


def test_the_model_is_looked_up_when_none_is_given(server):
    client = ChatNVIDIA(base_url=server.base_url, temperature=0, max_tokens=64)
    assert client.model == server.model
    assert "Paris" in client.invoke(FRANCE).content
    assert server.model in [model.id for model in client.available_models]


def test_the_completions_class(server):
    model = langchain_nvidia.NVIDIA(base_url=server.base_url, model=server.model, temperature=0, max_tokens=64)
    prompt = "### User:\nWhat is the capital of France?\n\n### Assistant:\n"
    assert model.invoke(prompt) == "The capital of France is Paris."
    assert "".join(model.stream(prompt)) == "The capital of France is Paris."


def test_each_error_shows_its_message(server, start_server, tmp_path):
    with pytest.raises(Exception, match="not served here"):
        ChatNVIDIA(base_url=server.base_url, model="other").invoke(FRANCE)
    with pytest.raises(Exception, match="stop must be"):
        ChatNVIDIA(base_url=server.base_url, model=server.model).invoke(FRANCE, stop=["x" * 300])
    key = make_key(tmp_path / "keys", "alice")
    with start_server("--api-key-file", str(tmp_path / "keys"), api_key=key) as closed:
        chat = {"base_url": closed.base_url, "model": closed.model, "temperature": 0, "max_tokens": 64}
        assert "Paris" in ChatNVIDIA(**chat, api_key=key).invoke(FRANCE).content
        with pytest.raises(Exception, match="missing or wrong"):
            ChatNVIDIA(**chat, api_key="nvapi-wrong").invoke(FRANCE)


def test_errors_show_the_message(server):
    client = ChatNVIDIA(base_url=server.base_url, model=server.model, max_tokens=4096)
    with pytest.raises(Exception, match="maximum context length is 4096 tokens"):
        client.invoke(FRANCE)
    with pytest.raises(Exception, match="maximum context length is 4096 tokens"):
        list(client.stream(FRANCE))


def test_structured_output_is_refused_instead_of_ignored(client):
    schema = {"title": "City", "type": "object", "properties": {"name": {"type": "string"}}}
    with pytest.raises(Exception, match="not supported|unsupported"):
        client.with_structured_output(schema).invoke(FRANCE)
