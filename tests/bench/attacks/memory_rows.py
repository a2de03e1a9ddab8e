"""Items 4 and 5: bytes that wait, failed allocations, and stored responses."""

import asyncio
import json
import resource

from client import TEXT, WebSocket, ask, chat, encode, raw_socket, request_bytes
from rows import SMALL_CACHE, close_all, mb, repeat, row, touch_cache

BODY = 4 << 20  # --max-body-size
BUDGET = 512 << 20  # --max-waiting-memory


@row("4", "250 unfinished bodies of 4 MiB", "memory grows by at most 563 MB (the budget and 5 %); another client is answered",
     flags=SMALL_CACHE)  # fmt: skip
async def unfinished_bodies(attack):
    server = attack.server
    head = request_bytes("POST", "/v1/chat/completions", b"x" * BODY)[:-BODY]
    before = server.memory()
    sockets = []

    def send_all():
        for _ in range(250):
            client = raw_socket(server.port)
            client.settimeout(5)
            sockets.append(client)
            try:
                client.sendall(head + b"x" * (BODY - 1))
            except OSError:  # the server has refused the body
                pass

    await asyncio.to_thread(send_all)
    other = await ask(server.port, "POST", "/v1/chat/completions", chat(8), source="127.0.0.2")
    grown = server.memory() - before
    close_all(sockets)
    answered = other is not None and other.status == 200
    return f"{mb(grown)}; the other client {'was' if answered else 'was not'} answered", grown <= 1.05 * BUDGET and answered


@row("4", "60 WebSockets with four waiting messages of 1 MB that can never fit the context",
     "refused when they arrive: memory grows by at most 64 MB", flags=SMALL_CACHE)  # fmt: skip
async def waiting_messages(attack):
    server = attack.server
    running = {"type": "response.create", "input": "Hi", "ignore_eos": True, "max_output_tokens": 3000}
    waiting = encode(TEXT, json.dumps({"type": "response.create", "input": "a" * 1_000_000}).encode())
    before = server.memory()
    sockets = []
    for _ in range(60):
        socket = await WebSocket.open(server.port)
        socket.send(running)
        sockets.append(socket)
    for socket in sockets:
        for _ in range(4):
            socket.writer.write(waiting)
        await socket.writer.drain()
    await asyncio.sleep(1)
    grown = server.memory() - before
    close_all(sockets)
    return mb(grown), grown <= 64e6


@row("4", "8 bodies of 4 MiB at once, with 24 MiB of memory left", "the server lives, each request has an answer, then all works",
     limits=[(resource.RLIMIT_CORE, (0, 0))])  # fmt: skip
async def no_memory_left(attack):
    server = attack.server
    body = json.dumps(chat(8, "a" * (BODY - 200))).encode()
    server.limit(resource.RLIMIT_AS, server.virtual_memory() + (24 << 20))
    answers = await asyncio.gather(*(ask(server.port, "POST", "/v1/chat/completions", body) for _ in range(8)))
    after = await ask(server.port, "POST", "/v1/chat/completions", chat(8))
    statuses = sorted(answer.status if answer else 0 for answer in answers)
    works = after is not None and after.status == 200
    state = "a chat works afterwards" if works else "a chat fails afterwards"
    if not server.alive():
        state = f"the server ended with {server.process.returncode}"
    return f"statuses {statuses}; {state}", works and 0 not in statuses


KEYS = ["a", "b", "witness"]
BIASES = {str(token): 1 for token in range(3, 303)}


@row("5", "1,200 stored responses of key a beside one of key b", "the response of key b stays", key_names=KEYS)
async def store_flood(attack):
    server = attack.server
    stored = await ask(server.port, "POST", "/v1/responses", {"input": "Hi"}, server.keys["b"])
    path = "/v1/responses/" + stored.json()["id"]
    statuses = await repeat(server.port, 1200, "POST", "/v1/responses", {"input": "Hi"}, server.keys["a"])
    found = await ask(server.port, "GET", path, key=server.keys["b"])
    return f"{statuses.get(200, 0)} stored for a; GET of b's answers {found.status}", found.status == 200


@row("5", "8,000 stored responses with 300 logit_bias entries", "solard_stored_response_bytes counts at least 90 % of the memory's growth",
     observers=("probe",), flags=SMALL_CACHE)  # fmt: skip
async def store_counts(attack):
    server = attack.server
    body = {"input": "Hi", "max_output_tokens": 1, "logit_bias": BIASES}
    await touch_cache(server)
    await repeat(server.port, 400, "POST", "/v1/responses", body)
    before, counted = server.memory(), await attack.metric("solard_stored_response_bytes") or 0
    await repeat(server.port, 8000, "POST", "/v1/responses", body)
    grown = server.memory() - before
    counted = (await attack.metric("solard_stored_response_bytes") or 0) - counted
    return f"{mb(counted)} counted, memory grew by {mb(grown)}", counted >= 0.9 * grown


@row("5", "4,000 responses with store: false", "nothing is kept: memory grows by at most 500 bytes each", flags=SMALL_CACHE)
async def store_false(attack):
    server = attack.server
    body = {"input": "Hi", "max_output_tokens": 1, "logit_bias": BIASES, "store": False}
    await touch_cache(server)
    await repeat(server.port, 2000, "POST", "/v1/responses", body)
    before = server.memory()
    await repeat(server.port, 4000, "POST", "/v1/responses", body)
    each = (server.memory() - before) / 4000
    return f"{each:.0f} bytes each", each <= 500
