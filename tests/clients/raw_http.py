"""HTTP/1.1 over a raw socket, for tests that send what no client library sends."""

import json
import re
import socket

from support import DEADLINE

HOST = b"Host: localhost\r\n"
JSON = b"Content-Type: application/json\r\n"
TE = b"Transfer-Encoding: chunked\r\n"
CHAT = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}).encode()


class Wire:
    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", server.port), DEADLINE)
        self.received = b""

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server refused the request and closed the connection before all data was sent

    def _receive(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        self.received += data
        return bool(data)

    def answer(self, has_body=True):
        """Returns (status, head, body) of the next answer, or None if the server closes instead."""
        while b"\r\n\r\n" not in self.received:
            if not self._receive():
                return None
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        status = int(head[9:12])
        length = re.search(rb"(?i)content-length: (\d+)", head)
        size = int(length[1]) if length and has_body else 0
        while len(self.received) < size:
            if not self._receive():
                return None
        body, self.received = self.received[:size], self.received[size:]
        return status, head, body

    def all_answers(self):
        """Tells the server that no more will be sent, and returns every status until the server closes."""
        self.socket.shutdown(socket.SHUT_WR)
        found = []
        while answer := self.answer():
            found.append(answer[0])
        return found

    def closed(self):
        return not self.received and not self._receive()


def get(fields=HOST, line=b"GET /v1/health/live HTTP/1.1"):
    return line + b"\r\n" + fields + b"\r\n"


def post(framing, body=CHAT, fields=HOST + JSON, line=b"POST /v1/chat/completions HTTP/1.1"):
    return line + b"\r\n" + fields + framing + b"\r\n" + body


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
