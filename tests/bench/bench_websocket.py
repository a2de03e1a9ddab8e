"""Measures what sockets cost the server: bench_websocket.py SOLARD_FAKE [idle|lanes|stalled ...]

idle     10,000 idle sockets: the process's memory per socket, and its CPU time while the sockets are pinged
lanes    256 sockets of 16 lanes, and the same answers over SSE: CPU time per delta; every delta is checked
stalled  a reader that stops while 100,000 deltas wait: the memory that this reader costs in addition to the log
The script only prints its results. It needs about 20,000 file descriptors. The clients are sockets of one process.
"""

import collections
import contextlib
import json
import os
import pathlib
import selectors
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "websocket"))
from frames import CLOSE, PING, PONG, TEXT, close_payload, encode  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
UPGRADE = (
    b"GET /v1/responses HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
FLAGS = [
    "--port", "0", "--log-level", "error", "--max-num-batched-tokens", "8192", "--max-queued-requests", "8192",
    "--max-queued-tokens", "100000000",
]  # fmt: skip


class Server:
    def __init__(self, binary, *flags, step_ms=0):
        environment = os.environ | {"SOLARD_FAKE_STEP_MS": str(step_ms)}
        self.process = subprocess.Popen([binary, *FLAGS, *flags], stdout=subprocess.PIPE, text=True, env=environment)
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def cpu(self):
        """Returns the CPU seconds of all threads."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def io_cpu(self):
        """Returns the CPU seconds of the thread that serves sockets."""
        pid = self.process.pid
        fields = pathlib.Path(f"/proc/{pid}/task/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self):
        """Returns the KiB of memory that belong to the process alone."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return sum(int(line.split()[1]) for line in status.splitlines() if line.startswith(("RssAnon", "VmSwap")))

    def connect(self, receive_buffer=0):
        client = socket.socket()
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(("127.0.0.1", self.port))
        return client

    def open(self, receive_buffer=0):
        client = self.connect(receive_buffer)
        client.sendall(UPGRADE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        assert head.startswith(b"HTTP/1.1 101"), head
        return client

    def metadata(self):
        with contextlib.closing(self.connect()) as client:
            client.sendall(b"GET /v1/metadata HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            with client.makefile("rb") as answer:
                return json.loads(answer.read().partition(b"\r\n\r\n")[2])


@contextlib.contextmanager
def running(binary, *flags, **more):
    server = Server(binary, *flags, **more)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(60)


class Frames:
    """The frames that one socket has received."""

    def __init__(self, client):
        self.client = client
        self.buffer = bytearray()

    def read(self):
        """Returns the frames that are complete after one read, or None at the end."""
        data = self.client.recv(1 << 18)
        if not data:
            return None
        self.buffer += data
        frames, at = [], 0
        while len(self.buffer) - at >= 2:
            size, begin = self.buffer[at + 1], at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                size, begin = int.from_bytes(self.buffer[begin : begin + width], "big"), begin + width
            if len(self.buffer) < begin + size:
                break
            frames.append((self.buffer[at] & 0x0F, bytes(self.buffer[begin : begin + size])))
            at = begin + size
        del self.buffer[:at]
        return frames


def idle(binary, count=10_000, seconds=60):
    with running(binary, "--max-model-len", "4096", "--max-num-seqs", "64") as server:
        begin = server.memory()
        selector = selectors.DefaultSelector()
        for _ in range(count):
            client = server.open()
            selector.register(client, selectors.EVENT_READ, Frames(client))
        opened = server.memory()
        cpu, pings, end = server.cpu(), 0, time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                for opcode, payload in key.data.read() or []:
                    assert opcode == PING
                    key.fileobj.sendall(encode(PONG, payload))
                    pings += 1
        used = server.cpu() - cpu
        held = server.memory()
        for key in list(selector.get_map().values()):
            key.fileobj.close()
        while server.metadata() and len(os.listdir(f"/proc/{server.process.pid}/fd")) > 100:
            time.sleep(0.05)
        print(f"{count} idle sockets: {(opened - begin) / count:.1f} KiB each when opened, {(held - begin) / count:.1f} after {seconds} s")
        print(f"  CPU {100 * used / seconds:.2f} % of one core with {pings} pings answered")
        print(f"  memory {begin} KiB at the start, {held} with all open, {server.memory()} after all were closed")


def request(lane, number, tokens):
    message = {"type": "response.create", "input": f"question {number}", "max_output_tokens": tokens, "temperature": 0}
    return json.dumps(message | ({"stream_id": lane} if lane else {}))


class Answers:
    """Checks that the deltas of each response come once, in order, and add up to its final text."""

    def __init__(self):
        self.texts = collections.defaultdict(str)
        self.numbers = collections.defaultdict(lambda: -1)
        self.ended = self.deltas = self.tokens = 0

    def take(self, event):
        response = event["response_id"]
        assert event["sequence_number"] > self.numbers[response]
        self.numbers[response] = event["sequence_number"]
        if event["type"] == "response.output_text.delta":
            self.texts[response] += event["delta"]
            self.deltas += 1
        if event["type"] in ("response.completed", "response.incomplete", "response.failed"):
            final = event["response"]
            assert final["output"][0]["content"][0]["text"] == self.texts.pop(response), "a delta was lost, doubled or moved"
            self.ended += 1
            self.tokens += final["usage"]["output_tokens"]


def over_websocket(server, sockets, lanes, tokens):
    answers = Answers()
    selector = selectors.DefaultSelector()
    for _ in range(sockets):
        client = server.open()
        selector.register(client, selectors.EVENT_READ, Frames(client))
    cpu, begin = server.io_cpu(), time.monotonic()
    for at, key in enumerate(selector.get_map().values()):
        frames = [encode(TEXT, request(f"lane{lane}", at * lanes + lane, tokens).encode()) for lane in range(lanes)]
        key.fileobj.sendall(b"".join(frames))
    while answers.ended < sockets * lanes:
        for key, _ in selector.select():
            for opcode, payload in key.data.read():
                if opcode == TEXT:
                    answers.take(json.loads(payload))
                else:
                    key.fileobj.sendall(encode(PONG, payload))
    used, took = server.io_cpu() - cpu, time.monotonic() - begin
    for key in list(selector.get_map().values()):
        key.fileobj.sendall(encode(CLOSE, close_payload(1000)))
        key.fileobj.close()
    return answers, used, took


def over_sse(server, streams, tokens):
    answers = Answers()
    selector = selectors.DefaultSelector()
    clients = [server.connect() for _ in range(streams)]
    for client in clients:
        selector.register(client, selectors.EVENT_READ, bytearray())
    cpu, begin = server.io_cpu(), time.monotonic()
    for at, client in enumerate(clients):
        body = json.dumps(json.loads(request("", at, tokens)) | {"stream": True}).replace('"type": "response.create", ', "")
        client.sendall(
            f"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
    while answers.ended < streams:
        for key, _ in selector.select():
            key.data.extend(key.fileobj.recv(1 << 18))
            while (end := key.data.find(b"\n\n")) >= 0:
                event = bytes(key.data[:end])
                del key.data[: end + 2]
                if (data := event.find(b"data: ")) >= 0:
                    answers.take(json.loads(event[data + 6 :]))
    used, took = server.io_cpu() - cpu, time.monotonic() - begin
    for client in clients:
        client.close()
    return answers, used, took


def lanes(binary, sockets=256, per_socket=16, tokens=32, rounds=3, step_ms=250):
    """Compares WebSocket with SSE. The steps are so slow that the client reads every delta separately."""
    flags = ["--max-model-len", "4096", "--max-num-seqs", "4096"]
    costs = {"WebSocket": [], "SSE": []}
    with running(binary, *flags, step_ms=step_ms) as server:
        for _ in range(rounds):
            for name, run in (
                ("WebSocket", lambda: over_websocket(server, sockets, per_socket, tokens)),
                ("SSE", lambda: over_sse(server, sockets * per_socket, tokens)),
            ):
                answers, used, took = run()
                assert answers.tokens == sockets * per_socket * tokens
                costs[name].append(1e6 * used / answers.deltas)
                print(
                    f"  {name}: {answers.ended} answers, {answers.tokens} tokens in {answers.deltas} deltas, all in order,"
                    f" {took:.1f} s, {costs[name][-1]:.2f} µs of the I/O thread per delta"
                )
    medians = {name: statistics.median(of) for name, of in costs.items()}
    print(f"{sockets} sockets of {per_socket} lanes: {medians['WebSocket']:.2f} µs per delta, SSE {medians['SSE']:.2f},"
          f" ratio {medians['WebSocket'] / medians['SSE']:.2f} (medians of {rounds})")  # fmt: skip


def stalled(binary, tokens=100_000, rounds=3):
    """Runs the same answer twice: first without a reader, then with a reader that stops.

    The difference in memory is the reader's cost."""
    with running(binary, "--max-model-len", "131072", "--max-num-seqs", "4") as server:

        def answer(reads):
            before = server.memory()
            client = server.open(4096)
            message = json.loads(request("", 1, tokens)) | {"solar": {"resumable": True}}
            client.sendall(encode(TEXT, json.dumps(message).encode()))
            if not reads:
                first = Frames(client)
                while not (frames := first.read()):
                    pass
                response = json.loads(frames[0][1])["response_id"]
                detach = {"type": "solar:detach", "response_id": response}
                client.sendall(encode(TEXT, json.dumps(detach).encode()))
            while server.metadata()["engine"]["in_flight"] == 0:
                pass
            while server.metadata()["engine"]["in_flight"] > 0:
                time.sleep(0.05)
            return client, server.memory() - before

        answer(False)[0].close()  # this first answer only warms up the allocator
        for _ in range(rounds):
            client, unread = answer(False)
            client.close()
            client, stalled_reader = answer(True)
            frames, deltas, text = Frames(client), 0, ""
            while True:
                for opcode, payload in frames.read():
                    if opcode != TEXT:
                        continue
                    event = json.loads(payload)
                    if event["type"] == "response.output_text.delta":
                        deltas, text = deltas + 1, text + event["delta"]
                    if event["type"] == "response.incomplete":
                        assert event["response"]["output"][0]["content"][0]["text"] == text
                        break
                else:
                    continue
                break
            client.close()
            print(f"stalled reader of {tokens} tokens: log {unread} KiB, with the reader {stalled_reader} KiB,"
                  f" so the reader costs {stalled_reader - unread} KiB; it then read {deltas} deltas with the same text")  # fmt: skip


if __name__ == "__main__":
    print("load average", pathlib.Path("/proc/loadavg").read_text().strip())
    for name in sys.argv[2:] or ["idle", "lanes", "stalled"]:
        {"idle": idle, "lanes": lanes, "stalled": stalled}[name](sys.argv[1])
