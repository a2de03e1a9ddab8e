"""The test cases of chapters 1 to 7, 9 and 10 of the Autobahn|Testsuite, written anew as tables. The ids are the
original ones. Each case states what a client sends and what an echo server must answer (RFC 6455)."""

from dataclasses import dataclass, field

from frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload, encode
from utf8_cases import GREEK, groups, is_utf8

PROTOCOL_ERROR = frozenset({1002})
BAD_TEXT = frozenset({1007})
NORMAL = frozenset({1000})
ANY = None  # the connection may end in any way


@dataclass
class Case:
    """The client sends each piece of `sends` in packets of `chop` bytes (0: in one packet). The server must answer with
    `answers` and then end the connection with one of `codes`. If `fails` is set, the server must fail the connection,
    and it may do so without a close frame. If `fails` and `closed_by_client` are both false, the client closes the
    connection after the answers."""

    sends: list
    answers: list = field(default_factory=list)
    codes: frozenset | None = NORMAL
    fails: bool = False
    closed_by_client: bool = False  # `sends` contains the client's close frame
    chop: int = 0
    # The server may fail the connection without sending any of the `answers`. Autobahn calls this result NON-STRICT.
    may_drop_answers: bool = False
    # The server must fail the connection before the client sends the last piece. After a later failure, the result is
    # NON-STRICT.
    fails_early: bool = False


def echoed(opcode, payload, **more):
    return Case([encode(opcode, payload)], [(opcode, payload)], **more)


def failing(sends, answers=(), codes=PROTOCOL_ERROR, **more):
    return Case(list(sends), list(answers), codes=codes, fails=True, **more)


def fragments(opcode, pieces):
    """Returns the pieces as the frames of one message."""
    return [
        encode(CONTINUATION if at else opcode, piece, fin=at == len(pieces) - 1) for at, piece in enumerate(pieces)
    ]


def cut(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)]


def framing(cases):
    for group, opcode, byte in ((1, TEXT, b"*"), (2, BINARY, b"\xfe")):
        for number, size in enumerate((0, 125, 126, 127, 128, 65535, 65536), 1):
            cases[f"1.{group}.{number}"] = echoed(opcode, byte * size)
        cases[f"1.{group}.8"] = echoed(opcode, byte * 65536, chop=997)


def pings(cases):
    def pinged(payload, **more):
        return Case([encode(PING, payload)], [(PONG, payload)], **more)

    ten = [b"payload-%d" % number for number in range(10)]
    cases["2.1"] = pinged(b"")
    cases["2.2"] = pinged(b"Hello, world!")
    cases["2.3"] = pinged(b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")
    cases["2.4"] = pinged(b"\xfe" * 125)
    cases["2.5"] = failing([encode(PING, b"\xfe" * 126)])
    cases["2.6"] = pinged(b"\xfe" * 125, chop=1)
    cases["2.7"] = Case([encode(PONG)])
    cases["2.8"] = Case([encode(PONG, b"unsolicited")])
    cases["2.9"] = Case([encode(PONG, b"unsolicited"), encode(PING, b"asked")], [(PONG, b"asked")])
    for number, chop in ((10, 0), (11, 1)):
        cases[f"2.{number}"] = Case([encode(PING, one) for one in ten], [(PONG, one) for one in ten], chop=chop)


def reserved(cases):
    hello = b"Hello, world!"
    first, last = encode(TEXT, hello), encode(PING)
    cases["3.1"] = failing([encode(TEXT, hello, rsv=1)])
    for number, rsv, chop in ((2, 2, 0), (3, 3, 0), (4, 4, 1)):
        sends = [first, encode(TEXT, hello, rsv=rsv), last]
        cases[f"3.{number}"] = failing(sends, [(TEXT, hello)], chop=chop, may_drop_answers=number < 4)
    cases["3.5"] = failing([encode(BINARY, b"\x00\xff\xfe\xfd", rsv=5)])
    cases["3.6"] = failing([encode(PING, hello, rsv=6)])
    cases["3.7"] = failing([encode(CLOSE, rsv=7)])
    for group, opcodes in ((1, range(3, 8)), (2, range(11, 16))):
        for number, opcode in enumerate(opcodes, 1):
            payload = hello if number in (2, 4, 5) else b""
            alone = number < 3
            sends = [encode(opcode, payload)] if alone else [first, encode(opcode, payload), last]
            answers = [] if alone else [(TEXT, hello)]
            chop = 1 if number == 5 else 0
            cases[f"4.{group}.{number}"] = failing(sends, answers, chop=chop, may_drop_answers=number in (3, 4))


def fragmentation(cases):
    one, two = b"fragment1", b"fragment2"
    whole = [(TEXT, one + two)]
    ping, text = encode(PING, b"ping payload"), encode(TEXT, b"not fragmented")
    begun, ended = fragments(TEXT, [one, two])
    for number, opcode in ((1, PING), (2, PONG)):
        cases[f"5.{number}"] = failing(fragments(opcode, [one, two]))
    for at, together, chop in ((0, True, 0), (1, False, 0), (2, True, 1)):

        def packed(sends, together=together):
            return [b"".join(sends)] if together else sends

        more = {"chop": chop}
        cases[f"5.{3 + at}"] = Case(packed([begun, ended]), whole, **more)
        cases[f"5.{6 + at}"] = Case(packed([begun, ping, ended]), [(PONG, b"ping payload"), *whole], **more)
        cases[f"5.{9 + at}"] = failing(packed([encode(CONTINUATION, two), text]), **more)
        cases[f"5.{12 + at}"] = failing(packed([encode(CONTINUATION, two, fin=False), text]), **more)
    lonely = encode(CONTINUATION, b"fragment3", fin=False)
    cases["5.15"] = failing([begun, ended, lonely, text], whole, may_drop_answers=True)
    cases["5.16"] = failing([lonely, text] * 2)
    cases["5.17"] = failing([encode(CONTINUATION, one), text] * 2)
    cases["5.18"] = failing([begun, encode(TEXT, two)])
    pieces = [b"fragment%d" % number for number in range(1, 6)]
    frames = fragments(TEXT, pieces)
    sends = [*frames[:2], encode(PING, b"first"), *frames[2:4], encode(PING, b"second"), frames[4]]
    answers = [(PONG, b"first"), (PONG, b"second"), (TEXT, b"".join(pieces))]
    cases["5.19"] = Case(sends, answers)
    cases["5.20"] = Case(sends, answers, chop=1)


def texts(cases):
    special = "Hello-µ@ßöäüàá-UTF-8!!".encode()
    broken = GREEK + b"\xed\xa0\x80" + b"edited"
    half = special.index(b"\xc3\x9f")
    for name, pieces in {
        "6.1.1": [b""],
        "6.1.2": [b"", b"", b""],
        "6.1.3": [b"", b"middle frame payload", b""],
        "6.2.1": [special],
        "6.2.2": [special[:half], special[half:]],
        "6.2.3": cut(special, 1),
        "6.2.4": cut(GREEK, 1),
    }.items():
        cases[name] = Case(fragments(TEXT, pieces), [(TEXT, b"".join(pieces))])
    cases["6.3.1"] = failing([encode(TEXT, broken)], codes=BAD_TEXT)
    cases["6.3.2"] = failing(fragments(TEXT, cut(broken, 1)), codes=BAD_TEXT)
    # These messages become invalid before their last piece, so a decoder can refuse them before it has the last piece.
    for number, pieces in ((1, [GREEK, b"\xf4\x90\x80\x80", b"edited"]), (2, [GREEK + b"\xf4", b"\x90", b"edited"])):
        cases[f"6.4.{number}"] = failing(fragments(TEXT, pieces), codes=BAD_TEXT, fails_early=True)
        frame = encode(TEXT, b"".join(pieces))
        ends = [len(frame) - len(b"".join(pieces[at:])) for at in (1, 2)]
        sends = [frame[: ends[0]], frame[ends[0] : ends[1]], frame[ends[1] :]]
        cases[f"6.4.{number + 2}"] = failing(sends, codes=BAD_TEXT, fails_early=True)
    for group, of in groups().items():
        for number, data in enumerate(of, 1):
            cases[f"6.{group}.{number}"] = (
                echoed(TEXT, data) if is_utf8(data) else failing([encode(TEXT, data)], codes=BAD_TEXT)
            )


def closing(cases):
    hello, large = b"Hello World!", b"BAsd7&jh23" * 26215  # 256 KiB
    bye = encode(CLOSE, close_payload(1000))
    begun, ended = fragments(TEXT, [b"fragment1", b"fragment2"])

    def closes(*sends, answers=(), codes=NORMAL):
        return Case(list(sends), list(answers), codes=codes, closed_by_client=True)

    cases["7.1.1"] = closes(encode(TEXT, hello), bye, answers=[(TEXT, hello)])
    cases["7.1.2"] = closes(bye, bye)
    cases["7.1.3"] = closes(bye, encode(PING))
    cases["7.1.4"] = closes(bye, encode(TEXT, hello))
    cases["7.1.5"] = closes(begun, bye, ended)
    cases["7.1.6"] = closes(encode(TEXT, large), bye, encode(PING), answers=[(TEXT, large)], codes=ANY)
    cases["7.3.1"] = closes(encode(CLOSE), codes=frozenset({None, 1000}))
    cases["7.3.2"] = failing([encode(CLOSE, b"a")])
    cases["7.3.3"] = closes(bye)
    cases["7.3.4"] = closes(encode(CLOSE, close_payload(1000, hello)))
    cases["7.3.5"] = closes(encode(CLOSE, close_payload(1000, b"*" * 123)))
    cases["7.3.6"] = failing([encode(CLOSE, close_payload(1000, b"*" * 124))])
    bad_reason = close_payload(1000, GREEK + b"\xed\xa0\x80")
    cases["7.5.1"] = failing([encode(CLOSE, bad_reason)], codes=PROTOCOL_ERROR | BAD_TEXT)
    valid = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for number, code in enumerate(valid, 1):
        cases[f"7.7.{number}"] = closes(encode(CLOSE, close_payload(code)), codes=frozenset({code, 1000}))
    for number, code in enumerate((0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999), 1):
        cases[f"7.9.{number}"] = failing([encode(CLOSE, close_payload(code))])
    for number, code in enumerate((5000, 65535), 1):
        cases[f"7.13.{number}"] = closes(encode(CLOSE, close_payload(code)), codes=ANY)


def large_messages(cases):
    kib, mib = 1 << 10, 1 << 20
    for at, opcode in enumerate((TEXT, BINARY)):
        for number, size in enumerate((64 * kib, 256 * kib, mib, 4 * mib, 8 * mib, 16 * mib), 1):
            cases[f"9.{1 + at}.{number}"] = echoed(opcode, b"*" * size)
        for number in range(1, 10):
            whole = b"*" * (4 * mib)
            sends = fragments(opcode, cut(whole, 16 * 4**number))
            cases[f"9.{3 + at}.{number}"] = Case([b"".join(sends)], [(opcode, whole)])
        for number in range(1, 7):
            cases[f"9.{5 + at}.{number}"] = echoed(opcode, b"*" * mib, chop=32 * 2**number)
    whole = b"*" * 65536
    cases["10.1.1"] = Case([b"".join(fragments(TEXT, cut(whole, 1300)))], [(TEXT, whole)])


# Cases that send the same message many times and wait for the echo each time: id -> (opcode, size).
ROUND_TRIPS = {
    f"9.{7 + at}.{number}": (opcode, size)
    for at, opcode in enumerate((TEXT, BINARY))
    for number, size in enumerate((0, 16, 64, 256, 1024, 4096), 1)
}

CASES = {}
for add in (framing, pings, reserved, fragmentation, texts, closing, large_messages):
    add(CASES)

# The cases in which the result may be NON-STRICT. According to its documentation, python-websockets has the result
# NON-STRICT in the same cases.
MAY_BE_NON_STRICT = {"3.2", "3.3", "4.1.3", "4.1.4", "4.2.3", "4.2.4", "5.15", "6.4.3", "6.4.4"}
