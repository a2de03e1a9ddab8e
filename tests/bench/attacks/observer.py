"""Watches a server during an attack, in processes of its own: observer.py probe|witness|loop PORT PID [KEY]

probe    asks /v1/health/live every 100 ms, each time on a new connection
witness  keeps two streams running, one over SSE and one over a WebSocket, and counts the tokens that do not arrive
loop     asks /v1/health/live every 2 ms on one connection, and reads how long the event loop computes meanwhile

When stdin ends, the observer prints one line of JSON and exits. `Observer` starts one and reads that line.
"""

import asyncio
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

from client import LOST, Connection, WebSocket, ask, chat

PROBE_INTERVAL = 0.1  # seconds
PROBE_LIMIT = 2.0  # seconds; an answer that takes longer counts as a failure
TOKENS = 600  # length of each answer that an observer of the kind `witness` requests
WITNESS_ADDRESS = "127.0.0.9"
LAST_STREAM_LIMIT = 30  # seconds in which the streams must end after the attack


class Observer:
    """An observer process. `result()` ends it; call it once."""

    def __init__(self, kind, port, pid, key=None):
        command = [sys.executable, __file__, kind, str(port), str(pid), *([key] if key else [])]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()  # waits until the observer has begun

    def result(self):
        self.process.stdin.close()
        line = self.process.stdout.read()
        self.process.wait()
        return json.loads(line)


async def probe(port, stop):
    """Returns {"p99", "longest", "failures", "count"}; times are in milliseconds."""
    times, probes = [], []

    async def one():
        begin = time.perf_counter()
        try:
            async with asyncio.timeout(PROBE_LIMIT):
                answer = await ask(port, "GET", "/v1/health/live")
        except TimeoutError:
            answer = None
        took = 1000 * (time.perf_counter() - begin)
        times.append((took, answer is not None and answer.status == 200))

    due = time.monotonic()
    while not stop.is_set():
        probes.append(asyncio.create_task(one()))
        due = max(due + PROBE_INTERVAL, time.monotonic())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0, due - time.monotonic()))
    await asyncio.gather(*probes)
    ordered = sorted(took for took, _ in times)
    return {
        "p99": ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))],
        "longest": ordered[-1],
        "failures": sum(not good for _, good in times),
        "count": len(times),
    }


class Witness:
    """Counts whole streams and lost tokens. A stream counts as running from its first token on."""

    def __init__(self):
        self.streams = self.lost = 0

    def ended(self, got, whole):
        self.streams += 1
        if not whole:
            self.lost += max(1, TOKENS - got)

    async def over_sse(self, port, key, stop):
        while not stop.is_set():
            got = 0
            try:
                connection = await Connection.open(port, key, WITNESS_ADDRESS)
                with contextlib.closing(connection):
                    options = {"include_usage": True}
                    body = chat(TOKENS, "Tell me a story.", stream=True, stream_options=options, return_token_ids=True)
                    if (await connection.begin("POST", "/v1/chat/completions", body)).status == 200:
                        async for event in connection.events():
                            got += sum(len(choice.get("token_ids") or []) for choice in event.get("choices", []))
                        self.ended(got, got == TOKENS)
                        continue
            except LOST:
                if got:
                    self.ended(got, False)
            except asyncio.CancelledError:
                if got:
                    self.ended(got, False)
                return
            await asyncio.sleep(PROBE_INTERVAL)

    async def over_websocket(self, port, key, stop):
        while not stop.is_set():
            text = ""
            try:
                socket = await WebSocket.open(port, key, WITNESS_ADDRESS)
                with contextlib.closing(socket):
                    while not stop.is_set():
                        text = ""
                        socket.send({"type": "response.create", "input": "Tell me a story.", "ignore_eos": True,
                                     "max_output_tokens": TOKENS, "store": False})  # fmt: skip
                        async for event in until_terminal(socket):
                            text += event.get("delta", "")
                        if text:
                            response = event.get("response", {"output": [], "usage": None})
                            usage = response["usage"] or {"output_tokens": 0}
                            final = "".join(item["content"][0]["text"] for item in response["output"])
                            self.ended(usage["output_tokens"], text == final and usage["output_tokens"] == TOKENS)
                        else:
                            await asyncio.sleep(PROBE_INTERVAL)
            except LOST:
                if text:
                    self.ended(0, False)
            except asyncio.CancelledError:
                if text:
                    self.ended(0, False)
                return
            await asyncio.sleep(PROBE_INTERVAL)


async def until_terminal(socket):
    while True:
        event = await socket.receive()
        if isinstance(event, tuple):
            raise EOFError("the server closed the WebSocket")
        yield event
        if event["type"] in ("error", "response.completed", "response.incomplete", "response.failed"):
            return


async def witness(port, key, stop):
    """Returns {"streams", "lost"}: streams that ended, and tokens that did not arrive."""
    counts = Witness()
    streams = [asyncio.create_task(run(port, key, stop)) for run in (counts.over_sse, counts.over_websocket)]
    await stop.wait()
    _, late = await asyncio.wait(streams, timeout=LAST_STREAM_LIMIT)
    for stream in late:
        stream.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return {"streams": counts.streams, "lost": counts.lost}


def loop_time(pid):
    """Returns the milliseconds for which the event loop has computed. The main thread runs it. The kernel counts the
    time of a running thread at each of its ticks, which are up to 4 ms apart."""
    return int(pathlib.Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[0]) / 1e6


async def loop(port, pid, stop):
    """Returns {"longest"}: the longest time in milliseconds that the event loop computed while one request waited."""
    connection = await Connection.open(port)
    longest = 0
    while not stop.is_set():
        begin = loop_time(pid)
        await connection.request("GET", "/v1/health/live")
        longest = max(longest, loop_time(pid) - begin)
        await asyncio.sleep(0.002)
    return {"longest": longest}


async def main(kind, port, pid, key=None):
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, stop.set)
    print("begun", flush=True)
    if kind != "witness":
        with contextlib.suppress(PermissionError):
            os.nice(-10)  # so that busy load generators on this machine do not delay the observer
    if kind == "probe":
        result = await probe(int(port), stop)
    elif kind == "witness":
        result = await witness(int(port), key, stop)
    else:
        result = await loop(int(port), pid, stop)
    print(json.dumps(result))


if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    asyncio.run(main(*sys.argv[1:]))
