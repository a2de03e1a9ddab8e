"""A small client for HTTP and WebSockets over asyncio. It can also behave badly: send halves and read nothing."""

import asyncio
import contextlib
import json
import pathlib
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "websocket"))
from frames import CLOSE, PING, PONG, TEXT, encode  # noqa: E402

READ_LIMIT = 60  # seconds; a client waits no longer for a single read


class Answer:
    def __init__(self, status, headers, body=b""):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def raw_socket(port, source=None, receive_buffer=None):
    """Returns a connected blocking socket, for clients that send or read little. `source` is the client's address."""
    client = socket.socket()
    if receive_buffer:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    if source:
        client.bind((source, 0))
    client.settimeout(READ_LIMIT)
    client.connect(("127.0.0.1", port))
    return client


def request_bytes(method, path, body=None, key=None, headers=()):
    """Returns a whole HTTP/1.1 request. A body which is not bytes is sent as JSON."""
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *headers]
    if key:
        lines.append(f"Authorization: Bearer {key}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join([*lines, "", ""]).encode() + data


class Connection:
    """One connection that carries one request after the other. A failure raises OSError or EOFError."""

    def __init__(self, reader, writer, key):
        self.reader, self.writer, self.key = reader, writer, key

    @staticmethod
    async def open(port, key=None, source=None):
        local = (source, 0) if source else None
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=local, limit=1 << 27)
        return Connection(reader, writer, key)

    async def begin(self, method, path, body=None):
        """Sends a request, and returns the head of its answer."""
        self.writer.write(request_bytes(method, path, body, self.key))
        return await self.read_head()

    async def read_head(self):
        async with asyncio.timeout(READ_LIMIT):
            block = await self.reader.readuntil(b"\r\n\r\n")
        lines = block.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        return Answer(int(lines[0].split()[1]), headers)

    async def read_chunk(self):
        """Returns the next chunk of a body, or b"" at its end."""
        async with asyncio.timeout(READ_LIMIT):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            return (await self.reader.readexactly(size + 2))[:-2]

    async def request(self, method, path, body=None):
        answer = await self.begin(method, path, body)
        if answer.headers.get("transfer-encoding") == "chunked":
            while chunk := await self.read_chunk():
                answer.body += chunk
        elif method != "HEAD" and answer.status not in (204, 304):
            async with asyncio.timeout(READ_LIMIT):
                answer.body = await self.reader.readexactly(int(answer.headers.get("content-length", 0)))
        return answer

    async def events(self):
        """Yields the data of each server-sent event of the answer whose head was just read."""
        text = b""
        while chunk := await self.read_chunk():
            text += chunk
            *whole, text = text.split(b"\n\n")
            for event in whole:
                for line in event.split(b"\n"):
                    if line.startswith(b"data: ") and line != b"data: [DONE]":
                        yield json.loads(line[6:])

    def close(self):
        with contextlib.suppress(OSError, RuntimeError):
            self.writer.close()


class WebSocket:
    """A socket of GET /v1/responses."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @staticmethod
    async def open(port, key=None, source=None):
        connection = await Connection.open(port, key, source)
        head = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]  # fmt: skip
        connection.writer.write(request_bytes("GET", "/v1/responses", key=key, headers=head))
        answer = await connection.read_head()
        if answer.status != 101:
            connection.close()
            raise ConnectionError(f"the upgrade was answered with {answer.status}")
        return WebSocket(connection.reader, connection.writer)

    def send(self, message):
        self.writer.write(encode(TEXT, json.dumps(message).encode()))

    async def receive(self):
        """Returns the next event, or ("close", code) for a close frame."""
        while True:
            async with asyncio.timeout(READ_LIMIT):
                opcode, size = await self.reader.readexactly(2)
                if size >= 126:
                    size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
                payload = await self.reader.readexactly(size)
            if opcode & 0x0F == PING:
                self.writer.write(encode(PONG, payload))
            elif opcode & 0x0F == CLOSE:
                return "close", int.from_bytes(payload[:2], "big")
            else:
                return json.loads(payload)

    async def receive_until_terminal(self):
        """Returns the events up to the next error or terminal event."""
        events = []
        while True:
            event = await self.receive()
            events.append(event)
            if isinstance(event, tuple) or event["type"] in TERMINAL:
                return events

    def close(self):
        with contextlib.suppress(OSError, RuntimeError):
            self.writer.close()


TERMINAL = {"error", "response.completed", "response.incomplete", "response.failed"}
LOST = (OSError, EOFError, TimeoutError)  # errors of a connection that broke, ended or hangs


def chat(tokens, text="Hi", **fields):
    """Returns the body of a chat request whose answer has exactly so many tokens."""
    messages = [{"role": "user", "content": text}]
    return {"messages": messages, "max_tokens": tokens, "ignore_eos": True, **fields}


async def ask(port, method, path, body=None, key=None, source=None):
    """Sends one request on a connection of its own. Returns None if the connection is lost."""
    try:
        connection = await Connection.open(port, key, source)
    except LOST:
        return None
    try:
        return await connection.request(method, path, body)
    except LOST:
        return None
    finally:
        connection.close()
