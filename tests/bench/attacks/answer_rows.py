"""Item 7: answers which take long to render, and errors which repeat what the client sent."""

import asyncio
import pathlib
import re

from client import LOST, Connection, WebSocket, ask, chat, request_bytes
from rows import CouldNotRun, row

LONG = "Q" * 7000


async def longest_loop_time(attack, work):
    """Runs `work(rendering)`, which calls `rendering()` shortly before the server renders. Returns what was measured from
    then on, and whether it keeps the promise."""
    if not pathlib.Path(f"/proc/{attack.server.pid}/schedstat").exists():
        raise CouldNotRun("the kernel does not count the times of threads (schedstat)")
    observers = []
    size = await work(lambda: observers.append(attack.observer("loop")))
    longest = (await asyncio.to_thread(observers[0].result))["longest"]
    return f"{longest:.1f} ms at most, {size / 1e6:.1f} MB", longest <= 9


PROMISED = "pieces of at most 5 ms: the event loop computes for at most 5 ms while a request waits (9 ms with the clock of 4 ms)"


@row("7", "a whole answer of 8 x 2,000 tokens with 20 logprobs each", PROMISED)
async def large_whole_answer(attack):
    async def work(rendering):
        body = chat(2000, n=8, logprobs=True, top_logprobs=20)
        asking = asyncio.create_task(ask(attack.server.port, "POST", "/v1/chat/completions", body))
        await asyncio.sleep(2)
        rendering()
        return len((await asking).body)

    return await longest_loop_time(attack, work)


@row("7", "a response of 3,900 tokens with 20 logprobs each: its last event, then 10 times by GET", PROMISED)
async def large_response(attack):
    port = attack.server.port

    async def work(rendering):
        connection = await Connection.open(port)
        body = {"input": "Hi", "ignore_eos": True, "max_output_tokens": 3900, "stream": True, "top_logprobs": 20,
                "include": ["message.output_text.logprobs"]}  # fmt: skip
        await connection.begin("POST", "/v1/responses", body)
        count = 0
        async for event in connection.events():
            count += 1
            if count == 1000:
                rendering()
            response = event.get("response") or {}
        path = "/v1/responses/" + response["id"]
        size = 0
        for _ in range(10):
            size += len((await connection.request("GET", path)).body)
        return size

    return await longest_loop_time(attack, work)


def long_requests():
    """Yields HTTP requests with 7,000 characters in every place that an error could repeat."""
    for path in ("/", "/v1/models/", "/assets/", "/v1/responses/"):
        yield request_bytes("GET", path + LONG)
    yield request_bytes("DELETE", "/v1/responses/" + LONG)
    yield request_bytes("POST", f"/v1/responses/{LONG}/cancel", {})
    yield request_bytes(LONG, "/v1/models")
    for name in ("Host", "Origin", "Authorization", "Expect", "Content-Type", "Transfer-Encoding", LONG):
        yield f"POST /tokenize HTTP/1.1\r\nHost: localhost\r\n{name}: {LONG}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    chat_fields = ["model", "messages", "temperature", "stop", "seed", "n", "response_format", "tools", "logit_bias",
                   "stream", "stream_options", "user", "max_tokens", "top_logprobs", LONG]  # fmt: skip
    for field in chat_fields:
        for value in (LONG, [LONG], {LONG: LONG}):
            yield request_bytes("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}]} | {field: value})
    for message in ({"role": LONG, "content": "Hi"}, {"role": "user", "content": [{"type": LONG}]}, {LONG: LONG}):
        yield request_bytes("POST", "/v1/chat/completions", {"messages": [message]})
    for field in ("previous_response_id", "truncation", "include", "text", "metadata", "input", "reasoning", "solar", LONG):
        for value in (LONG, [LONG], {LONG: LONG}):
            yield request_bytes("POST", "/v1/responses", {"input": "Hi"} | {field: value})
    for field in ("model", "prompt", "add_special_tokens", "tokens"):
        yield request_bytes("POST", "/tokenize", {"prompt": "Hi"} | {field: {LONG: LONG}})


@row("7", "7,000 characters in every path, header and field", "no answer repeats more than 200 bytes of them")
async def long_echoes(attack):
    port = attack.server.port
    longest, count = 0, 0

    def measure(data):
        nonlocal longest, count
        count += 1
        longest = max([longest, *map(len, re.findall(b"Q+", data))])

    for data in long_requests():
        connection = await Connection.open(port)
        connection.writer.write(data)
        connection.writer.write_eof()
        measure(await connection.reader.read())
        connection.close()
    for message in ({"type": LONG}, {"type": "response.create", "stream_id": LONG, "input": "Hi"},
                    {"type": "response.create", "input": "Hi", "model": LONG}, {"type": "response.cancel", "response_id": LONG},
                    {"type": "response.create", "input": "Hi", "previous_response_id": LONG},
                    {"type": "response.create", "input": "Hi", "event_id": LONG}, {LONG: LONG}):  # fmt: skip
        socket = await WebSocket.open(port)
        socket.send(message)
        try:
            measure(str(await socket.receive_until_terminal()).encode())
        except LOST:
            pass
        socket.close()
    logged = max(map(len, re.findall("Q+", attack.server.log())), default=0)
    return f"{longest} bytes at most in {count} answers, {logged} in the log", longest <= 200 and logged <= 200
