"""AsyncOpenAI with the real server: many streams at once, and every way to abandon one."""

import asyncio

import pytest

from support import client_library

openai = client_library("openai")

COUNTRIES = {"France": "Paris", "Italy": "Rome", "Japan": "Tokyo"}


def question(country):
    return [{"role": "user", "content": f"What is the capital of {country}?"}]


def with_client(server, use, **options):
    """Runs the coroutine function with an AsyncOpenAI client of the server."""

    async def run():
        async with openai.AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0, **options) as client:
            return await use(client)

    return asyncio.run(run())


def endless(client, **fields):
    return client.chat.completions.create(model="", messages=question("France"), max_tokens=3500, **fields)


async def streamed(client, country):
    stream = await client.chat.completions.create(
        model="", messages=question(country), temperature=0, max_tokens=40, stream=True
    )
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


def test_many_streams_at_once(server):
    async def use(client):
        return await asyncio.gather(*(streamed(client, country) for country in list(COUNTRIES) * 8))

    assert with_client(server, use) == [f"The capital of {c} is {city}." for c, city in COUNTRIES.items()] * 8
    server.wait_until_idle()


def test_completions(server):
    async def use(client):
        fields = {"model": "", "prompt": ["### User:\nHi\n\n### Assistant:\n"] * 2, "temperature": 0}
        whole = await client.completions.create(**fields)
        texts = ["", ""]
        async for chunk in await client.completions.create(**fields, stream=True):
            texts[chunk.choices[0].index] += chunk.choices[0].text
        return [choice.text for choice in whole.choices], texts

    whole, texts = with_client(server, use)
    assert whole == texts
    assert whole[0] == whole[1] != ""


def test_stream_helper(server):
    async def use(client):
        fields = {"model": "", "messages": question("Italy"), "temperature": 0, "max_tokens": 40}
        async with client.chat.completions.stream(**fields, stream_options={"include_usage": True}) as stream:
            deltas = [event.delta async for event in stream if event.type == "content.delta"]
            return deltas, await stream.get_final_completion()

    deltas, final = with_client(server, use)
    assert "".join(deltas) == final.choices[0].message.content == "The capital of Italy is Rome."
    assert final.choices[0].finish_reason == "stop"
    assert final.usage.completion_tokens > 0


async def break_out(client):
    async with await endless(client, stream=True) as stream:
        async for _ in stream:
            break


async def leave_the_helper(client):
    fields = {"model": "", "messages": question("France"), "max_tokens": 3500}
    async with client.chat.completions.stream(**fields) as stream:
        async for event in stream:
            if event.type == "content.delta":
                break


async def cancel_between_chunks(client):
    begun = asyncio.Event()

    async def read():
        async for _ in await endless(client, stream=True):
            begun.set()

    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def cancel_a_whole_answer(client):
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(endless(client), 0.3)


async def time_out(client):
    with pytest.raises(openai.APITimeoutError):
        await endless(client, timeout=0.3)


@pytest.mark.parametrize(
    "leave", [break_out, leave_the_helper, cancel_between_chunks, cancel_a_whole_answer, time_out]
)
def test_abandoned_request_stops_its_generation(endless_server, leave):
    endless_server.wait_until_idle()
    before = endless_server.engine()["generated_tokens"]

    async def use(client):
        await leave(client)
        # The client is still open: abandoning one request does not close the client's other connections.
        answer = await client.chat.completions.create(model="", messages=question("France"), max_tokens=3)
        assert answer.choices[0].message.content == "aaa"

    with_client(endless_server, use)
    endless_server.wait_until_idle()
    assert endless_server.engine()["generated_tokens"] - before < 3500


def test_abandoned_requests_do_not_disturb_the_others(endless_server):
    async def use(client):
        stayers = [
            client.chat.completions.create(model="", messages=question("France"), max_tokens=60) for _ in range(3)
        ]
        leavers = [break_out(client) for _ in range(3)]
        return (await asyncio.gather(*stayers, *leavers))[:3]

    answers = with_client(endless_server, use)
    assert [answer.choices[0].message.content for answer in answers] == ["a" * 60] * 3
    endless_server.wait_until_idle()
