"""What earlier attacks did not break: floods, slow clients, memory and inputs."""

import asyncio
import contextlib
import json
import time

from client import LOST, Connection, WebSocket, ask, chat, raw_socket, request_bytes
from connection_rows import all_dropped, drip
from rows import SMALL_CACHE, Client, Tally, close_all, closed_after, mb, repeat, row, rude, run_together, spread, touch_cache


@row("held", "a flood of 398 requests of one key beside a small key", "the small key is never refused; first token within 1 s",
     key_names=["flood", "small", "witness"])  # fmt: skip
async def small_key_beside_a_flood(attack):
    server, keys, few, times = attack.server, attack.server.keys, Tally(), []

    async def small():
        client = Client(server.port, chat(1), keys["small"])
        while True:
            begin = time.monotonic()
            few.count(await client.ask())
            times.append(time.monotonic() - begin)
            await asyncio.sleep(0.2)

    flood = (rude(Client(server.port, chat(64), keys["flood"]), Tally()) for _ in range(398))
    await run_together(6, small(), *flood)
    return f"{few.answered} of {few.asked} answered, first token after at most {max(times):.2f} s", few.answered == few.asked and max(times) <= 1


@row("held", "60 SSE and 40 WebSocket readers which stall", "dropped within --write-timeout 3 and 7 s; memory grows by at most 100 MB",
     observers=("probe",), flags=["--write-timeout", "3", "--ws-ping-interval", "3", "--ws-pong-timeout", "3"])  # fmt: skip
async def stalled_readers(attack):
    server = attack.server
    before, memory = server.num_descriptors() + 1, server.memory()
    clients = [raw_socket(server.port, receive_buffer=4096) for _ in range(60)]
    for client in clients:
        client.sendall(request_bytes("POST", "/v1/chat/completions", chat(4000, stream=True, logprobs=True, top_logprobs=5)))
    sockets = [await WebSocket.open(server.port) for _ in range(40)]
    begin = time.monotonic()
    for socket in sockets:
        socket.writer.transport.pause_reading()
        socket.send({"type": "response.create", "input": "Hi", "ignore_eos": True, "max_output_tokens": 4000})
    highest = memory
    dropping = asyncio.create_task(all_dropped(server, before, begin, 15))
    while not dropping.done():
        await asyncio.sleep(0.1)
        highest = max(highest, server.memory())
    took = dropping.result()
    close_all([*clients, *sockets])
    measured = f"{f'all dropped after {took:.1f} s' if took else 'some stayed for 15 s'}; {mb(highest - memory)}"
    return measured, took is not None and took <= 10 and highest - memory <= 100e6


@row("held", "500 headers and 500 bodies which come slowly", "closed by --header-timeout 3 and --body-timeout 4; at most 20 kB each",
     flags=[*SMALL_CACHE, "--header-timeout", "3", "--body-timeout", "4"])  # fmt: skip
async def slow_headers_and_bodies(attack):
    server = attack.server
    await touch_cache(server)
    memory, begin = server.memory(), time.monotonic()
    clients = [raw_socket(server.port) for _ in range(1000)]
    begun = time.monotonic() - begin
    for client in clients[500:]:
        client.sendall(request_bytes("POST", "/tokenize", b"x" * 1000)[:-999])
    dripping = asyncio.create_task(drip(clients, [b"G"]))
    await asyncio.sleep(1)
    each = (server.memory() - memory) / 1000
    ends = await asyncio.gather(*(closed_after(client, begin, 9) for client in clients))
    dripping.cancel()
    close_all(clients)
    measured = f"headers {spread(ends[:500])}, bodies {spread(ends[500:])}; {each / 1000:.1f} kB each"
    limits = [5 + begun] * 500 + [6 + begun] * 500
    return measured, each <= 20e3 and all(end is not None and end <= limit for end, limit in zip(ends, limits, strict=True))


@row("held", "5,000 idle connections", "at most 12 kB each", flags=SMALL_CACHE)
async def idle_connections(attack):
    server = attack.server
    await touch_cache(server)
    memory = server.memory()
    clients = []
    for _ in range(5000):
        client = raw_socket(server.port)
        client.sendall(b"GET /v1/version HTTP/1.1\r\nHost: localhost\r\n\r\n")
        clients.append(client)
        if len(clients) % 10 == 0:
            await asyncio.sleep(0.002)
    await asyncio.sleep(0.5)
    each = (server.memory() - memory) / len(clients)
    close_all(clients)
    return f"{each / 1000:.1f} kB each", each <= 12e3


@row("held", "connections which are opened and closed for 5 s", "each is accepted")
async def connects(attack):
    count = 0
    failed = 0
    end = time.monotonic() + 5
    while time.monotonic() < end:
        for _ in range(10):
            try:
                raw_socket(attack.server.port).close()
                count += 1
            except OSError:
                failed += 1
        await asyncio.sleep(0.001)
    return f"{count} accepted, {failed} failed", failed == 0


@row("held", "20,000 HTTP requests", "memory grows by at most 20 bytes per request", flags=SMALL_CACHE)
async def leak_per_request(attack):
    server = attack.server
    await touch_cache(server)
    await repeat(server.port, 5000, "GET", "/v1/models")
    memory = server.memory()
    statuses = await repeat(server.port, 20_000, "GET", "/v1/models")
    each = (server.memory() - memory) / 20_000
    return f"{each:.1f} bytes, {statuses.get(200, 0)} answered", each <= 20 and statuses.get(200, 0) == 20_000


@row("held", "4,000 WebSocket messages", "memory grows by at most 250 bytes per message", flags=SMALL_CACHE)
async def leak_per_message(attack):
    server = attack.server
    socket = await WebSocket.open(server.port)

    async def messages(count):
        for _ in range(count):
            socket.send({"type": "response.create", "input": "Hi", "max_output_tokens": 1, "store": False})
            await socket.receive_until_terminal()

    await messages(1000)
    memory = server.memory()
    await messages(4000)
    each = (server.memory() - memory) / 4000
    socket.close()
    return f"{each:.1f} bytes", each <= 250


async def statuses_of(attack, bodies, path="/v1/chat/completions"):
    """Sends each body. Returns a text with the statuses, and whether none is a failure of the server."""
    statuses = []
    for body in bodies:
        answer = await ask(attack.server.port, "POST", path, body)
        statuses.append(answer.status if answer else 0)
    counts = {status: statuses.count(status) for status in sorted(set(statuses))}
    text = ", ".join(f"{count} x {status}" for status, count in counts.items())
    return text, all(200 <= status < 500 for status in statuses)


@row("held", "texts of 4 MB which are hard to tokenise", "each gets an answer or a clear error")
async def hard_texts(attack):
    texts = ["a" * 4_000_000, " " * 4_000_000, "ab" * 2_000_000, "\U0001f600" * 300_000, "<s></s>" * 500_000, "\n" * 1_900_000]
    bodies = [json.dumps({"prompt": text}, ensure_ascii=False).encode() for text in texts]
    return await statuses_of(attack, bodies, "/tokenize")


@row("held", "deep and wide JSON, and numbers at their limits", "each gets an answer or a clear error")
async def hard_json(attack):
    deep = b"[" * 1_000_000
    closed = b"[" * 30_000 + b"]" * 30_000
    wide = b'{"messages":[' + b",".join([b"{}"] * 1_000_000) + b"]}"
    many_keys = json.dumps(chat(1) | {f"x{at}": at for at in range(200_000)}).encode()
    bodies = [deep, closed, wide, many_keys]
    for field in ("temperature", "top_p", "seed", "n", "max_tokens", "top_k", "frequency_penalty", "min_tokens"):
        bodies += [json.dumps(chat(4)).encode()[:-1] + f', "{field}": {value}}}'.encode()
                   for value in ("1e308", "-1e308", "1e999", "0", "-0.0", "9223372036854775808", "1e-320", "null", "true")]  # fmt: skip
    return await statuses_of(attack, bodies)


@row("held", "stop strings and biases at and beyond their limits", "each gets an answer or a clear error")
async def hard_sampling(attack):
    bodies = [
        chat(200, stop=["a" * 256] * 16), chat(4, stop=["a" * 257]), chat(4, stop=["x"] * 17), chat(4, stop=[""]),
        chat(50, logit_bias={str(token): 100 for token in range(300)}), chat(50, logit_bias={str(token): -100 for token in range(300)}),
        chat(4, logit_bias={str(token): 1 for token in range(301)}), chat(4, logit_bias={"-1": 1}),
        chat(4, logit_bias={"99999999": 1}), chat(50, stop_token_ids=list(range(64))), chat(50, temperature=2, top_k=1, min_p=1),
        chat(200, repetition_penalty=2, frequency_penalty=2, presence_penalty=2),
    ]  # fmt: skip
    return await statuses_of(attack, bodies)


@row("held", "floods of tickets, unknown paths and methods, and idempotency keys", "no more labels; memory grows by at most 5 MB")
async def floods_of_names(attack):
    server = attack.server
    await repeat(server.port, 500, "POST", "/v1/ws_tickets")
    labels = len((await ask(server.port, "GET", "/metrics")).body.splitlines())
    memory = server.memory()
    await repeat(server.port, 3000, "POST", "/v1/ws_tickets")
    for at in range(500):
        await ask(server.port, f"M{at}", f"/unknown/{at}")
    socket = await WebSocket.open(server.port)
    for at in range(500):
        socket.send({"type": "response.create", "input": "Hi", "max_output_tokens": 1, "solar": {"idempotency_key": f"{at:0>200}"}})
        await socket.receive_until_terminal()
    socket.close()
    more = len((await ask(server.port, "GET", "/metrics")).body.splitlines()) - labels
    grown = server.memory() - memory
    return f"{more} more lines of metrics, {mb(grown)}", more <= 4 and grown <= 5e6


@row("held", "line breaks in headers, hidden requests, and paths that leave the folder", "each is refused; no false line in the log")
async def injections(attack):
    port, statuses = attack.server.port, []
    requests = [
        b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: a\nfalse: line\r\n\r\n",
        b"GET /%0d%0aFALSE HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /assets/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /assets/%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"POST /tokenize HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"GET /v1/models HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /v1/models\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ]  # fmt: skip
    for data in requests:
        connection = await Connection.open(port)
        connection.writer.write(data)
        with contextlib.suppress(*LOST):
            statuses.append((await connection.read_head()).status)
        connection.close()
    false_lines = [line for line in attack.server.log().splitlines() if line.lower().startswith("false")]
    good = len(statuses) == len(requests) and all(400 <= status < 500 for status in statuses)
    return f"statuses {statuses}, {len(false_lines)} false lines", good and not false_lines
