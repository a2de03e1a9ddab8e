"""Item 6: connections which are silent, slow or too many."""

import asyncio
import contextlib
import resource
import signal
import time

from client import LOST, TEXT, Connection, WebSocket, ask, chat, encode, raw_socket, request_bytes
from frames import CONTINUATION
from rows import Client, Tally, close_all, closed_after, row, run_together, spread

GET_MODELS = request_bytes("GET", "/v1/models")


async def drip(clients, data):
    """Sends one byte to each client every 0.3 s, as long as it is not closed."""
    for at in range(1_000_000):
        await asyncio.sleep(0.3)
        for client in clients:
            with contextlib.suppress(OSError):
                client.send(data[at % len(data)])


@row("6", "60 connections which send nothing, only empty lines, or their header slowly", "closed by --header-timeout 2",
     flags=["--header-timeout", "2"])  # fmt: skip
async def silent_connections(attack):
    begin = time.monotonic()
    clients = [raw_socket(attack.server.port) for _ in range(60)]
    empty_lines, header = clients[20:40], clients[40:]
    drips = [asyncio.create_task(drip(empty_lines, [b"\r\n"])), asyncio.create_task(drip(header, [b"G"]))]
    ends = await asyncio.gather(*(closed_after(client, begin, 8) for client in clients))
    for task in drips:
        task.cancel()
    close_all(clients)
    measured = "; ".join(f"{name}: {spread(ends[at : at + 20])}" for name, at in (("nothing", 0), ("empty lines", 20), ("header", 40)))
    return measured, all(end is not None and end <= 3.5 for end in ends)


async def hold(port, first):
    """Keeps a connection that asks nothing (more), and opens another one whenever it is closed."""
    while True:
        with contextlib.suppress(*LOST):
            connection = await Connection.open(port)
            try:
                connection.writer.write(first)
                while await connection.reader.read(1 << 16):
                    pass
            finally:
                connection.close()
        await asyncio.sleep(0.05)


@row("6", "--max-connections 100, and 300 silent or idle connections of one address which come back",
     "every newcomer from another address answered, health always", flags=["--max-connections", "100"])  # fmt: skip
async def connection_cap(attack):
    port, few = attack.server.port, Tally()

    async def new_connections():
        client = Client(port, chat(8), source="127.0.0.2")
        while True:
            few.count(await client.ask())
            client.close()
            await asyncio.sleep(0.25)

    holders = [hold(port, b"" if at % 2 else GET_MODELS) for at in range(300)]
    await run_together(6, *holders, new_connections(), new_connections())
    return f"{few.answered} of {few.asked} newcomers answered", few.answered == few.asked > 0


@row("6", "a WebSocket message of 1,100 fragments, and one of 1,000", "the first closes the socket with 1008, the second is read")
async def fragments(attack):
    async def send(count):
        socket = await WebSocket.open(attack.server.port)
        first, *rest = (b"%-1100s" % b'{"type":"response.create","input":7}')[:count]
        frames = [encode(TEXT, bytes([first]), fin=False)]
        frames += [encode(CONTINUATION, bytes([byte]), fin=at == count - 2) for at, byte in enumerate(rest)]
        socket.writer.write(b"".join(frames))
        with contextlib.closing(socket):
            try:
                return await socket.receive()
            except LOST:
                return "lost"

    many, few = await send(1100), await send(1000)
    closed = many == ("close", 1008)
    read = isinstance(few, dict)
    measured = f"1,100: {'closed with 1008' if closed else 'read' if isinstance(many, dict) else many}; 1,000: {'read' if read else few}"
    return measured, closed and read


def largest_asset(body):
    """Returns the path of the page's script."""
    return "/" + body.split(b'src="/', 1)[1].split(b'"', 1)[0].decode() if b'src="/' in body else "/"


async def all_dropped(server, before, since, limit):
    """Waits until the server has accepted connections. Returns the seconds from `since` until it has no more descriptors
    than before, or None."""
    while server.num_descriptors() <= before:
        await asyncio.sleep(0.005)
    while time.monotonic() - since < limit:
        if server.num_descriptors() <= before:
            return time.monotonic() - since
        await asyncio.sleep(0.05)
    return None


@row("6", "10 readers of static files, which read nothing or 400 bytes per second", "dropped within --write-timeout 3 and 2 s",
     observers=("probe",), flags=["--write-timeout", "3"])  # fmt: skip
async def slow_static_readers(attack):
    server = attack.server
    page = await ask(server.port, "GET", "/")
    wanted = request_bytes("GET", largest_asset(page.body)) * 60
    await asyncio.sleep(0.2)
    before = server.num_descriptors() + 1  # one more, because the probe may have a connection open at any time
    clients = [raw_socket(server.port, receive_buffer=4096) for _ in range(10)]
    begin = time.monotonic()
    for client in clients:
        client.sendall(wanted)

    async def read_slowly():
        while True:
            await asyncio.sleep(0.5)
            for client in clients[5:]:
                with contextlib.suppress(OSError):
                    client.recv(200)

    reading = asyncio.create_task(read_slowly())
    took = await all_dropped(server, before, begin, 10)
    reading.cancel()
    close_all(clients)
    return f"all dropped after {took:.1f} s" if took else "some stayed for 10 s", took is not None and took <= 5


@row("6", "10 SSE readers which read nothing while their requests wait", "dropped within --write-timeout 3 and 3 s",
     observers=("probe",),
     flags=["--write-timeout", "3", "--keep-alive-interval", "1", "--max-num-seqs", "2"])  # fmt: skip
async def stalled_sse_in_the_queue(attack):
    server = attack.server
    page = await ask(server.port, "GET", "/")
    await asyncio.sleep(0.2)
    before = server.num_descriptors() + 3  # plus the two connections of `running` and that of the probe
    running = [asyncio.create_task(ask(server.port, "POST", "/v1/chat/completions", chat(4000, n=8))) for _ in range(2)]
    await asyncio.sleep(0.5)
    clients = [raw_socket(server.port, receive_buffer=4096) for _ in range(10)]
    begin = time.monotonic()
    unread = request_bytes("GET", largest_asset(page.body))
    for client in clients:
        client.sendall(unread + request_bytes("POST", "/v1/chat/completions", chat(8, stream=True)))
    took = await all_dropped(server, before, begin, 9)
    close_all(clients)
    for task in running:
        task.cancel()
    return f"all dropped after {took:.1f} s" if took else "some stayed for 9 s", took is not None and took <= 6


@row("6", "100 descriptors and 200 silent connections", "accepts again afterwards, and logs the trouble at most once per second",
     observers=(), limits=[(resource.RLIMIT_NOFILE, (100, 100))])  # fmt: skip
async def descriptors_used_up(attack):
    server = attack.server
    clients = [raw_socket(server.port) for _ in range(200)]
    await asyncio.sleep(4)
    lines = server.log().lower().count("accept failed")
    close_all(clients)
    await asyncio.sleep(0.3)
    after = await ask(server.port, "GET", "/v1/health/live")
    good = after is not None and after.status == 200
    return f"{lines} log lines in 4 s; {'accepts' if good else 'does not accept'} again", good and lines <= 5


@row("6", "a second SIGTERM while 20 SSE and 10 WebSocket streams run", "each gets its last event; the exit code is not 0",
     observers=())  # fmt: skip
async def second_sigterm(attack):
    server = attack.server

    async def sse():
        connection = await Connection.open(server.port)
        await connection.begin("POST", "/v1/chat/completions", chat(4000, stream=True))
        last = {}
        async for event in connection.events():
            last = event
        return "error" in last or bool(last["choices"][0]["finish_reason"])

    async def web_socket():
        socket = await WebSocket.open(server.port)
        socket.send({"type": "response.create", "input": "Hi", "ignore_eos": True, "max_output_tokens": 4000})
        events = await socket.receive_until_terminal()
        return isinstance(events[-1], dict)

    streams = [asyncio.create_task(sse()) for _ in range(20)] + [asyncio.create_task(web_socket()) for _ in range(10)]
    await asyncio.sleep(1)
    server.signal(signal.SIGTERM)
    await asyncio.sleep(0.3)
    server.signal(signal.SIGTERM)
    ends = [end is True for end in await asyncio.gather(*streams, return_exceptions=True)]
    code = await asyncio.to_thread(server.exit_code, 10)
    measured = f"{sum(ends[:20])} of 20 and {sum(ends[20:])} of 10 got it; exit code {code}"
    return measured, all(ends) and code not in (0, None)
