"""The WebSocket of /v1/responses with the openai package for Python, and with the websockets library itself."""

import asyncio
import json

import pytest

from support import DEADLINE, client_library, free_port, running_server

openai = client_library("openai")
websockets = client_library("websockets")
connect = client_library("websockets.sync.client").connect

FRANCE = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
TERMINALS = {"response.completed", "response.incomplete", "response.failed", "error"}


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0) as client:
        yield client


def read_response(connection):
    events = []
    while not events or events[-1].type not in TERMINALS:
        events.append(connection.recv())
    return events


def text_of(events):
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def open_socket(server, **options):
    url = server.base_url.replace("http", "ws") + "/responses"
    return connect(url, subprotocols=["solar.responses.v1"], open_timeout=DEADLINE, **options)


def ask(socket, **message):
    socket.send(json.dumps({"type": "response.create", "temperature": 0} | message))


def read_messages(socket):
    messages = []
    while not messages or messages[-1]["type"] not in TERMINALS:
        messages.append(json.loads(socket.recv(timeout=DEADLINE)))
    return messages


def test_one_connection_serves_several_responses(client, server):
    with client.responses.connect() as connection:
        connection.response.create(model=server.model, input=FRANCE, temperature=0)
        first = read_response(connection)
        assert text_of(first) == ANSWER
        response = first[-1].response
        assert response.output[0].content[0].text == ANSWER
        assert [event.type for event in first[-4:]] == [
            "response.output_text.done", "response.content_part.done", "response.output_item.done", "response.completed",
        ]  # fmt: skip
        connection.response.create(model=server.model, input="Thanks", previous_response_id=response.id)
        second = read_response(connection)[-1]
        assert second.type == "response.completed"
        assert second.response.previous_response_id == response.id
        connection.response.create(model=server.model, input=FRANCE, temperature=7)
        error = read_response(connection)[-1]
        assert (error.type, error.code, error.param) == ("error", "invalid_value", "temperature")
        connection.response.create(model=server.model, input=FRANCE, temperature=0)
        assert text_of(read_response(connection)) == ANSWER


def test_logprobs_are_in_the_deltas_and_in_the_final_event(client, server):
    with client.responses.connect() as connection:
        include = ["message.output_text.logprobs"]
        connection.response.create(model=server.model, input=FRANCE, temperature=0, include=include, top_logprobs=2)
        events = read_response(connection)
        response = events[-1].response
        of_deltas = [entry for event in events if event.type == "response.output_text.delta" for entry in event.logprobs]
        assert len(of_deltas) == response.usage.output_tokens
        at_the_end = response.output[0].content[0].logprobs
        assert [entry.token for entry in at_the_end] == [entry.token for entry in of_deltas]


def test_async_connections_work_at_the_same_time(server):
    async def one(client):
        async with client.responses.connect() as connection:
            await connection.response.create(model=server.model, input=FRANCE, temperature=0)
            text = ""
            async for event in connection:
                text += event.delta if event.type == "response.output_text.delta" else ""
                if event.type in TERMINALS:
                    return text

    async def all_of_them():
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="none") as client:
            return await asyncio.gather(*[one(client) for _ in range(8)])

    assert asyncio.run(all_of_them()) == [ANSWER] * 8


def test_client_reconnects_after_a_drain(tmp_path):
    port = str(free_port())
    reconnects = []
    with openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none") as client:

        def ask_again(event):
            reconnects.append(event.close_code)
            connection.response.create(model="", input=FRANCE, temperature=0)

        manager = client.responses.connect(on_reconnecting=ask_again, initial_delay=0.1)
        with running_server(tmp_path, "--port", port) as server:
            connection = manager.__enter__()
            connection.response.create(model=server.model, input=FRANCE, temperature=0)
            assert text_of(read_response(connection)) == ANSWER
            server.terminate()
        with running_server(tmp_path, "--port", port):
            events = []
            for event in connection:
                events.append(event)
                if event.type in TERMINALS:
                    break
            assert text_of(events) == ANSWER
            manager.__exit__(None, None, None)
    assert reconnects == [1012]


def test_ping_of_the_library_is_answered(server):
    with open_socket(server, compression="deflate") as socket:
        assert socket.subprotocol == "solar.responses.v1"
        assert not socket.protocol.extensions
        assert json.loads(socket.recv(timeout=DEADLINE))["type"] == "solar:session"
        assert socket.ping().wait(DEADLINE)
        ask(socket, input=FRANCE)
        assert read_messages(socket)[-1]["response"]["output"][0]["content"][0]["text"] == ANSWER
    assert socket.close_code == 1000


def test_no_message_exceeds_the_librarys_limit(endless_server):
    """The library's limit is 1 MiB; the final event of an answer with many logprobs would otherwise be larger."""
    with open_socket(endless_server) as socket:
        socket.recv(timeout=DEADLINE)
        ask(socket, input="Hi", max_output_tokens=1200, top_logprobs=20)
        messages = read_messages(socket)
        last = messages[-1]["response"]
        assert last["solar"]["logprobs_omitted"] is True
        assert last["output"][0]["content"][0]["logprobs"] == []
        deltas = [message for message in messages if message["type"] == "response.output_text.delta"]
        assert sum(len(delta["logprobs"]) for delta in deltas) == last["usage"]["output_tokens"] == 1200
        assert "".join(delta["delta"] for delta in deltas) == last["output"][0]["content"][0]["text"]


def test_many_lanes_are_answered_separately(server):
    with open_socket(server) as socket:
        socket.recv(timeout=DEADLINE)
        for lane in range(32):
            for _ in range(2):
                ask(socket, input=FRANCE, stream_id=f"lane{lane}")
        texts = {}
        ended = []
        while len(ended) < 64:
            message = json.loads(socket.recv(timeout=DEADLINE))
            key = (message["stream_id"], message["response_id"])
            if message["type"] == "response.output_text.delta":
                texts[key] = texts.get(key, "") + message["delta"]
            if message["type"] in TERMINALS:
                ended.append(key)
        assert len(set(ended)) == 64
        assert all(texts[key] == ANSWER for key in ended)
