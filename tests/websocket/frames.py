"""A client that sends and reads RFC 6455 frames over a blocking socket. It can also send invalid frames."""

import os
import socket
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
READ_LIMIT = 30  # seconds; generous, so that no test fails on a busy machine


def encode(opcode, payload=b"", fin=True, rsv=0, mask=True):
    """Returns one frame. `rsv` holds the three reserved bits as a number."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    masked = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([masked | len(payload)])
    elif len(payload) < 1 << 16:
        head += bytes([masked | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", len(payload))
    if not mask:
        return head + payload
    key = os.urandom(4)
    repeated = int.from_bytes(key * (len(payload) // 4 + 1), "big") >> 8 * (4 - len(payload) % 4)
    return head + key + (int.from_bytes(payload, "big") ^ repeated).to_bytes(len(payload), "big")


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


class Peer:
    """A client whose WebSocket is open."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), READ_LIMIT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.socket.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        while b"\r\n\r\n" not in self.buffer:
            self.buffer += self.socket.recv(4096)
        head = self._read(self.buffer.index(b"\r\n\r\n") + 4)
        assert head.startswith(b"HTTP/1.1 101 ") and b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head, head

    def send(self, data, chop=0):
        """Sends the data in packets of `chop` bytes (0: in one packet). The server may close the connection
        meanwhile."""
        try:
            for at in range(0, len(data), chop or max(len(data), 1)):
                self.socket.sendall(data[at : at + (chop or len(data))])
        except OSError:
            pass

    def _read(self, size):
        while len(self.buffer) < size:
            try:
                more = self.socket.recv(1 << 16)
            except ConnectionError:
                more = b""
            if not more:
                return None
            self.buffer += more
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def read_frame(self):
        """Returns (flags, opcode, payload), or None if the connection ends. The flags are the upper four bits of the
        first byte: FIN and the reserved bits."""
        head = self._read(2)
        if head is None:
            return None
        assert not head[1] & 0x80, "a server must not mask its frames"
        size = head[1]
        if size >= 126:
            extended = self._read(2 if size == 126 else 8)
            size = int.from_bytes(extended, "big")
        payload = self._read(size)
        return None if payload is None else (head[0] & 0xF0, head[0] & 0x0F, payload)

    def read_message(self):
        """Returns (opcode, payload) of a control frame or of a whole message, or None if the connection ends."""
        opcode, whole = None, bytearray()
        while True:
            frame = self.read_frame()
            if frame is None:
                return None
            bits, kind, payload = frame
            assert bits in (0x00, 0x80), "reserved bits must be zero"
            if kind >= CLOSE:
                assert bits == 0x80 and len(payload) <= 125, "control frames must be unfragmented and at most 125 bytes long"
                return kind, payload
            opcode = kind if opcode is None else opcode
            whole += payload
            if bits:
                return opcode, bytes(whole)

    def close(self):
        self.socket.close()
