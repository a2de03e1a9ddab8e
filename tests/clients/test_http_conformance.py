"""HTTP/1.1 over a raw socket, as RFC 9110 and RFC 9112 define it.

The tests check which requests are answered, which are refused, and that no two readers can disagree about where a
request ends. The conformance table has the 33 cases of h1spec, rewritten from the RFCs. The smuggling table has the
published attacks: two framings, ambiguous framings, unusual line ends, chunks that parsers read differently.
"""

import json
import re
import socket
import time

import h11
import pytest

from raw_http import CHAT, HOST, JSON, TE, Wire, chunked, get, post
from support import DEADLINE


def ask(server, data):
    """Returns (status of the first answer, whether the server then closed the connection)."""
    wire = Wire(server)
    wire.send(data)
    answer = wire.answer(has_body=not data.startswith(b"HEAD"))
    assert answer, f"the server closed without an answer to {data[:200]!r}"
    assert re.search(rb"(?m)^x-request-id: req_[0-9a-f]{16}\r?$", answer[1]), answer[1]
    closed = b"connection: close" in answer[1].lower()
    if closed:
        assert wire.closed(), data[:200]
    return answer[0], closed


LENGTH = b"Content-Length: %d\r\n" % len(CHAT)

# The cases of h1spec: (name, bytes, expected status).
CONFORMANCE = [
    ("simple GET", get(), 200),
    ("GET with a query", get(line=b"GET /v1/health/live?a=b&c HTTP/1.1"), 200),
    ("GET with extra fields", get(HOST + b"X-A: b\r\nAccept: */*\r\n"), 200),
    ("field name in any case", get(b"hOsT: localhost\r\n"), 200),
    ("no space after the colon", get(b"Host:localhost\r\n"), 200),
    ("white space around a value", get(b"Host: \t localhost \t\r\n"), 200),
    ("empty value", get(HOST + b"X-Empty:\r\n"), 200),
    ("value of obs-text", get(HOST + b"X-A: \xff\xfe\r\n"), 200),
    ("absolute-form target", get(line=b"GET http://localhost/v1/health/live HTTP/1.1"), 200),
    ("empty line before the request line", b"\r\n" + get(), 200),
    ("HTTP/1.0 without Host", get(b"", b"GET /v1/health/live HTTP/1.0"), 200),
    ("HEAD has no body", get(line=b"HEAD /v1/health/live HTTP/1.1"), 200),
    ("POST with Content-Length", post(LENGTH), 200),
    ("POST in chunks", post(TE, chunked(CHAT[:5], CHAT[5:])), 200),
    ("chunk size in capitals", post(TE, b"%X\r\n%s\r\n0\r\n\r\n" % (len(CHAT), CHAT)), 200),
    ("chunk size with leading zeros", post(TE, b"000%x\r\n%s\r\n0\r\n\r\n" % (len(CHAT), CHAT)), 200),
    ("chunked in any case", post(b"Transfer-Encoding: ChUnKeD\r\n", chunked(CHAT)), 200),
    ("Content-Length of 0", post(b"Content-Length: 0\r\n", b""), 400),  # valid HTTP, but not JSON
    ("unknown method", get(line=b"BREW /v1/health/live HTTP/1.1"), 405),
    ("no Host", get(b""), 400),
    ("two Hosts", get(HOST + HOST), 400),
    ("invalid Host", get(b"Host: a b\r\n"), 400),
    ("space before the colon", get(b"Host : localhost\r\n"), 400),
    ("field without a colon", get(HOST + b"X-A\r\n"), 400),
    ("field without a name", get(HOST + b": a\r\n"), 400),
    ("name with a space", get(HOST + b"X A: b\r\n"), 400),
    ("invalid character in a name", get(HOST + b"X(A): b\r\n"), 400),
    ("folded line", get(HOST + b"X-A: a\r\n b\r\n"), 400),
    ("control character in a value", get(HOST + b"X-A: a\x01b\r\n"), 400),
    ("NUL in a value", get(HOST + b"X-A: a\0b\r\n"), 400),
    ("request line of two parts", get(line=b"GET /v1/health/live"), 400),
    ("unknown version", get(line=b"GET /v1/health/live HTTP/9.9"), 400),
    ("Content-Length that is not a number", post(b"Content-Length: abc\r\n"), 400),
]


def test_every_case_of_h1spec_has_the_expected_status(server):
    assert len(CONFORMANCE) == 33
    wrong = []
    for name, data, expected in CONFORMANCE:
        status, closed = ask(server, data)
        malformed = expected == 400 and b"Content-Length: 0" not in data
        if status != expected or closed != malformed:
            wrong.append((name, status, closed))
    assert wrong == []


def framings():
    """Yields header fields that frame the body twice, or in a way that another reader may understand differently."""
    length = b"%d" % len(CHAT)
    yield from (
        LENGTH + TE,
        TE + LENGTH,
        LENGTH + LENGTH,
        LENGTH + b"Content-Length: 5\r\n",
        b"Content-Length: 0\r\n" + LENGTH,
        TE + TE,
    )
    for value in (
        b"+" + length, b"-" + length, b"0x2a", length + b" " + length, length + b", " + length, length + b",5",
        length + b".0", length + b"e0", b"", b" ", b"\x0b" + length, length + b"\x0b", length + b"\0", b'"' + length + b'"',
        b"9" * 30, b"\xef\xbc\x91", b"1_0", length + b";a",
    ):  # fmt: skip
        yield b"Content-Length: " + value + b"\r\n"
    for value in (
        b"xchunked", b"chunked, identity", b"identity, chunked", b"chunked, chunked", b"gzip, chunked", b"chunked, gzip",
        b"identity", b"gzip", b"chunked;a=b", b'"chunked"', b"chunke", b"chunkedd", b"chunked,", b",chunked", b"", b"x",
        b"\x0bchunked", b"chunked\x0b", b"chunked\0", b"\0chunked", b"ch\0unked", b"chunked\x7f", b"'chunked'", b"chunked chunked",
        b"cow, chunked", b"chunked\xa0", b"\xa0chunked", b"\xe2\x84\xaahunked", b"chun\tked", b"chunked\x0c", b"false",
        b"deflate", b"compress, chunked", b"trailers", b"chunked, trailers", b"[chunked]", b"chunked\\", b"\\chunked",
    ):  # fmt: skip
        yield b"Transfer-Encoding: " + value + b"\r\n"
        yield b"Content-Length: 4\r\nTransfer-Encoding: " + value + b"\r\n"
    for name in (b"Transfer-Encoding ", b" Transfer-Encoding", b"Transfer-Encoding\t", b"Transfer_Encoding\0", b"Transfer-Encoding\x0b"):
        yield name + b": chunked\r\n"
    for end in (b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n "):
        yield b"Transfer-Encoding: chunked" + end + b"X-A: b\r\n"
        yield b"X-A: b" + end + TE
        yield b"X-A: b" + end + LENGTH
    yield b"Transfer-Encoding:\r\n chunked\r\n"
    yield b"Content-Length:\r\n 4\r\n"


def bodies():
    """Yields chunked bodies that parsers read differently."""
    for size in (b"0x4", b"+4", b"-4", b"4 ", b" 4", b"4\t", b"4;", b"4;a=b", b"4 ;a", b"4\n", b"", b"g", b"4\0", b"fffffffffffffffff", b"4,4", b"4.0"):
        yield size + b"\r\nabcd\r\n0\r\n\r\n"
    yield b"4\nabcd\r\n0\r\n\r\n"
    yield b"4\r\nabcd\n0\r\n\r\n"
    yield b"4\r\nabcdXX0\r\n\r\n"
    yield b"4\r\nabcd0\r\n\r\n"
    yield b"4\r\nabcd\r\n0\r\nX-Trailer: a\r\n\r\n"
    yield b"4\r\nabcd\r\n0\r\nContent-Length: 5\r\n\r\n"
    yield b"4\r\nabcd\r\n0\r\nAuthorization: Bearer x\r\n\r\n"
    yield b"4\r\nabcd\r\n0;a\r\n\r\n"


def hosts():
    yield get(b"Host: localhost\r\nHost: evil\r\n")
    yield get(line=b"GET http://evil/v1/health/live HTTP/1.1")
    yield get(line=b"GET http://localhost:1/v1/health/live HTTP/1.1")
    yield get(b"Host: localhost@evil\r\n")
    yield get(b"Host: localhost/evil\r\n")
    yield get(b"Host: localhost, evil\r\n")
    yield b"GET /v1/health/live HTTP/1.1\n" + HOST + b"\n"
    yield b"GET /v1/health/live HTTP/1.1\r\nHost: localhost\n\r\n"
    yield b"GET\t/v1/health/live\tHTTP/1.1\r\n" + HOST + b"\r\n"
    yield b"GET  /v1/health/live HTTP/1.1\r\n" + HOST + b"\r\n"
    yield b"GET /v1/health/live  HTTP/1.1\r\n" + HOST + b"\r\n"
    yield b"GET /v1/health/live HTTP/1.1 \r\n" + HOST + b"\r\n"
    yield b" GET /v1/health/live HTTP/1.1\r\n" + HOST + b"\r\n"
    yield b"GET /v1/health/live HTTP/1.1\r\n " + HOST + b"\r\n"
    yield b"GET /v1/health\0/live HTTP/1.1\r\n" + HOST + b"\r\n"
    yield post(TE, chunked(CHAT), fields=JSON, line=b"POST /v1/chat/completions HTTP/1.0")


def attacks():
    for framing in framings():
        yield post(framing, chunked(CHAT))
        yield post(framing, CHAT)
    for body in bodies():
        yield post(TE, body)
    yield from hosts()


def test_no_request_can_be_smuggled(server):
    """Each attack is refused, and the request which follows it in the same bytes is never served."""
    num_attacks = 0
    for number, attack in enumerate(attacks()):
        follower = get(line=b"GET /smuggled-%d HTTP/1.1" % number)
        wire = Wire(server)
        wire.send(attack + follower)
        statuses = wire.all_answers()
        # If a body never ends, the server closes the connection without an answer.
        assert len(statuses) <= 1 and all(400 <= status < 500 for status in statuses), (attack, statuses)
        num_attacks += 1
    assert num_attacks > 200
    assert "/smuggled-" not in server.log()


def readable_by_h11(data):
    """Returns the bodies of all requests which h11 reads from the bytes, or None if h11 refuses them."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    connection.receive_data(b"")
    found = []
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                found.append(b"")
            elif isinstance(event, h11.Data):
                found[-1] += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                connection.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
                connection.send(h11.EndOfMessage())
                connection.start_next_cycle()
            elif isinstance(event, h11.ConnectionClosed) or event is h11.NEED_DATA or event is h11.PAUSED:
                return found
    except h11.RemoteProtocolError:
        return None
    except h11.LocalProtocolError:  # the client asked to close the connection, so h11 reads no further request
        return found


def test_h11_sees_as_many_requests_as_the_server(server):
    """The server answers as many requests as h11 finds in the same bytes."""
    texts = [json.dumps({"prompt": "x" * size}).encode() for size in (1, 7, 300)]
    line = b"POST /tokenize HTTP/1.1"
    streams = [
        b"".join(post(b"Content-Length: %d\r\n" % len(text), text, line=line) for text in texts),
        b"".join(post(TE, chunked(text[:4], text[4:9], text[9:]), line=line) for text in texts),
        post(TE, chunked(texts[0]), line=line) + get() + post(b"Content-Length: 0\r\n", b"", line=line),
        get(HOST + b"Content-Length: 3\r\n") + b"abc" + get(),
        post(b"Expect: 100-continue\r\nContent-Length: %d\r\n" % len(texts[0]), texts[0], line=line),
    ]
    for data in streams:
        theirs = readable_by_h11(data)
        wire = Wire(server)
        wire.send(data)
        ours = [status for status in wire.all_answers() if status != 100]
        assert theirs is not None and len(ours) == len(theirs), (data, ours, theirs)


def test_a_hundred_pipelined_requests_are_answered_in_order(server):
    wire = Wire(server)
    wire.send(b"".join(get(line=b"GET /v1/models/m%d HTTP/1.1" % i) for i in range(100)))
    for i in range(100):
        status, _, body = wire.answer()
        assert status == 404 and b"'m%d'" % i in body


def test_too_large_a_request_is_refused_before_it_is_read(server):
    assert ask(server, get(HOST + b"X-A: b\r\n" * 99)) == (200, False)
    assert ask(server, get(HOST + b"X-A: b\r\n" * 100)) == (431, True)
    room = 8 * 1024 - len("/v1/health/live?")
    target = b"GET /v1/health/live?%s HTTP/1.1"
    assert ask(server, get(line=target % (b"x" * room))) == (200, False)
    assert ask(server, get(line=target % (b"x" * (room + 1)))) == (431, True)
    assert ask(server, get(HOST + b"X-A: " + b"b" * (17 * 1024) + b"\r\n")) == (431, True)
    # The bodies of these requests are not sent.
    large = b"Content-Length: %d\r\n" % (4 * 1024 * 1024 + 1)
    assert ask(server, post(large, b"")) == (413, True)
    assert ask(server, post(large + b"Expect: 100-continue\r\n", b"")) == (413, True)


def test_endless_trailers_and_chunk_extensions_are_refused(server):
    for data in (b"4;" + b"a" * 100_000, b"4\r\nabcd\r\n0\r\n" + b"X-A: b\r\n" * 20_000):
        assert ask(server, post(TE, data)) == (400, True)


def test_body_in_chunks_of_one_byte_is_served(server):
    text = json.dumps({"prompt": "a" * 10, "pad": "x" * 500_000}).encode()
    begin = time.process_time()
    data = post(TE, b"".join(b"1\r\n%c\r\n" % byte for byte in text) + b"0\r\n\r\n", line=b"POST /tokenize HTTP/1.1")
    wall = time.monotonic()
    assert ask(server, data) == (200, False)
    print(f"{len(data)} bytes in {time.monotonic() - wall:.2f} s, client CPU {time.process_time() - begin:.2f} s")


def test_slow_header_or_body_is_cut_at_its_deadline(start_server):
    """The deadlines are for the whole header and the whole body, however small the pieces are."""
    beginnings = (b"GET / HTTP/1.1\r\nX-A: ", b"POST /tokenize HTTP/1.1\r\n" + HOST + JSON + b"Content-Length: 4000\r\n\r\n")
    with start_server("--header-timeout", "0.3", "--body-timeout", "0.3") as server:
        for beginning in beginnings:
            with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as wire:
                wire.sendall(beginning)
                wire.settimeout(0.03)  # seconds between two bytes
                end = time.monotonic() + DEADLINE
                while True:
                    assert time.monotonic() < end, "the server did not close: does each byte renew the deadline?"
                    try:
                        wire.sendall(b"a")
                        if not wire.recv(1):
                            break
                    except TimeoutError:
                        continue
                    except (ConnectionResetError, BrokenPipeError):
                        break


@pytest.mark.parametrize("close", [b"Connection: close\r\n", b"Connection: keep-alive, close\r\n"])
def test_connection_close_closes_the_connection(server, close):
    assert ask(server, get(HOST + close)) == (200, True)
