"""Each field at and outside its limits, and bodies that are not valid requests.

Every request is answered with status 200 or a 4xx error, never with 5xx, and the next request is served.
"""

import json

import pytest

from support import client_library, get_json

requests = client_library("requests")

ROUTES = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"prompt": "Hi"},
}
INT32 = 2**31 - 1
# The lower and the upper limit of each field. In NUMBERS, values may have a fraction, and the third entry says whether
# the lower limit itself is allowed.
WHOLE = {
    "n": (1, 8),
    "prompt_logprobs": (0, 20),
    "top_k": (-1, INT32),
    "min_tokens": (0, 1),
    "priority": (-(2**31), INT32),
    "seed": (-(2**63), 2**64 - 1),
}
ONE_API = {"top_logprobs": ("/v1/chat/completions", 0, 20), "logprobs": ("/v1/completions", 0, 20)}
NUMBERS = {
    "temperature": (0, 2, True),
    "top_p": (0, 1, True),
    "min_p": (0, 1, True),
    "repetition_penalty": (0, 2, False),
    "frequency_penalty": (-2, 2, True),
    "presence_penalty": (-2, 2, True),
}


@pytest.fixture(scope="module")
def post(server):
    session = requests.Session()

    def send(path, data):
        return session.post(server.root_url + path, data=data, headers={"content-type": "application/json"})

    return send


def with_field(body, name, literal):
    """Returns the body as bytes, with the additional field `name`. The text `literal` is its value, unchanged."""
    fields = body | ({} if name == "max_tokens" else {"max_tokens": 1})
    fields |= {"logprobs": True} if name == "top_logprobs" else {}
    return (json.dumps(fields)[:-1] + f', "{name}": {literal}}}').encode()


def check(post, path, name, literal, allowed):
    answer = post(path, with_field(ROUTES[path], name, literal))
    if allowed:
        assert answer.status_code == 200, (path, name, literal, answer.text)
    else:
        assert answer.status_code == 400, (path, name, literal, answer.text)
        assert answer.json()["error"]["param"] == name, (path, name, literal, answer.text)
        assert answer.json()["error"]["code"] == "invalid_value"


def whole_fields():
    for path in ROUTES:
        for name, (low, high) in WHOLE.items():
            yield path, name, low, high
    for name, (path, low, high) in ONE_API.items():
        yield path, name, low, high


@pytest.mark.parametrize("path, name, low, high", list(whole_fields()))
def test_integers_are_accepted_within_their_limits_only(post, path, name, low, high):
    for value in (low - 1, low, high, high + 1, 2**31, 2**63, 2**64):
        check(post, path, name, value, low <= value <= high)
    for literal in ("1.5", "1e308", "-1e308", '"1"', "[1]", "{}", "[]", "true"):
        check(post, path, name, literal, False)
    check(post, path, name, "null", True)
    check(post, path, name, "-0", low <= 0)


@pytest.mark.parametrize("path", ROUTES)
def test_max_tokens_is_an_upper_bound(post, path):
    prompt = post(path, with_field(ROUTES[path], "max_tokens", 1)).json()["usage"]["prompt_tokens"]
    room = 4096 - prompt
    for value in (-1, 1, "1.0", room, room + 1, 2**24 + 1, 2**63, 2**64 - 1, "1e308", "null"):
        check(post, path, "max_tokens", value, True)
    for value in (-2, 0, "1.5", '"1"'):
        check(post, path, "max_tokens", value, False)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_accepted_within_their_limits_only(post, path, name):
    low, high, closed = NUMBERS[name]
    for literal, allowed in (
        (low, closed), (high, True), (low - 1, False), (high + 1, False), (f"{low}.0", closed), (f"{high}.0", True),
        (f"{high}.0000001", False), ("1e-300", True), ("-1e-300", low < 0), ("-0", closed), ("-0.0", closed), ("0.5", True),
        (2**31, False), (2**63, False), (-(2**63), False), (2**64, False), ("1e308", False), ("-1e308", False), ('"0.5"', False),
        ("[0.5]", False), ("{}", False), ("true", False), ("null", True),
    ):  # fmt: skip
        check(post, path, name, literal, allowed)


@pytest.mark.parametrize("path", ROUTES)
def test_booleans_lists_and_maps_are_checked(post, path):
    for name in ("stream", "ignore_eos", "return_token_ids", "skip_special_tokens", "add_special_tokens"):
        for literal in ("1", '"true"', "[]", "{}", "0"):
            check(post, path, name, literal, False)
        for literal in ("true", "false", "null"):
            check(post, path, name, literal, True)
    longest = '"' + "x" * 256 + '"'
    for literal, allowed in (
        ('"x"', True), ("[]", True), ("null", True), (longest, True), ('"' + "x" * 257 + '"', False), ('""', False), ('[""]', False),
        (json.dumps(["x"] * 16), True), (json.dumps(["x"] * 17), False), ("[1]", False), ("1", False), ('{"a":1}', False),
        ('"' + "솔" * 85 + '"', True), ('"' + "솔" * 86 + '"', False),
    ):  # fmt: skip
        check(post, path, "stop", literal, allowed)
    biases = {str(i): 1 for i in range(300)}
    for literal, allowed in (
        ("{}", True), ('{"5":100}', True), ('{"5":-100}', True), ('{"5":100.5}', False), ('{"5":"1"}', False), ('{"a":1}', False),
        ('{"05":1}', False), ('{"-1":1}', False), ('{"2047":1}', True), ('{"2048":1}', False), ("[]", True), ("[1]", False),
        (json.dumps(biases), True), (json.dumps(biases | {"300": 1}), False),
    ):  # fmt: skip
        check(post, path, "logit_bias", literal, allowed)
    for literal, allowed in (
        ("[2047]", True), ("[2048]", False), ("[-1]", False), (json.dumps([1] * 64), True), (json.dumps([1] * 65), False),
        ("[1.5]", False), ("5", False), ("[null]", False),
    ):  # fmt: skip
        check(post, path, "stop_token_ids", literal, allowed)


def test_invalid_bodies_are_refused(post, server):
    good = json.dumps(ROUTES["/v1/chat/completions"] | {"max_tokens": 1}).encode()
    deep = lambda levels: good[:-1] + b', "x": ' + b"[" * levels + b"]" * levels + b"}"  # noqa: E731
    for body, status, code in (
        (b"", 400, "invalid_json"), (b"{", 400, "invalid_json"), (b"null", 400, "invalid_json"), (b"[]", 400, "invalid_json"),
        (b'"a"', 400, "invalid_json"), (good + b"x", 400, "invalid_json"), (good + good, 400, "invalid_json"),
        (good[:-1] + b', "max_tokens": 1}', 400, "invalid_json"), (good[:-1] + b', "x": {"y":1,"y":1}}', 400, "invalid_json"),
        (good[:-1] + b', "x": 1e400}', 400, "invalid_json"), (good[:-1] + b', "x": NaN}', 400, "invalid_json"),
        (good[:-1] + b', "x": "\xff"}', 400, "invalid_json"), (good[:-1] + b', "x": "\\ud800"}', 200, None),
        (good[:-1] + b', "x": "\xed\xa0\x80"}', 400, "invalid_json"), (good[:-1] + b', "x": "a\nb"}', 400, "invalid_json"),
        (b"\xef\xbb\xbf" + good, 200, None), (good.decode().encode("utf-16"), 400, "invalid_json"),
        (deep(31), 200, None), (deep(32), 400, "invalid_json"), (deep(100_000), 400, "invalid_json"),
        (b'{"messages":[]}', 400, "invalid_value"), (b'{"messages":{}}', 400, "invalid_value"), (b"{}", 400, "invalid_value"),
        (b'{"messages":[{"role":"king","content":"a"}]}', 400, "invalid_value"),
        (b'{"messages":[{"role":"user"}]}', 400, "invalid_value"), (b'{"messages":[{"content":"a"}]}', 400, "invalid_value"),
        (json.dumps({"messages": [{"role": "user", "content": "a"}] * 1025}).encode(), 400, "invalid_value"),
    ):  # fmt: skip
        answer = post("/v1/chat/completions", body)
        assert answer.status_code == status, (body[:100], answer.text)
        assert status == 200 or answer.json()["error"]["code"] == code, (body[:100], answer.text)
    assert post("/v1/chat/completions", good).status_code == 200


# Kinds of text that break programs which quote, escape, format, execute, cut or count text.
NAUGHTY = [
    "", " ", "\t", "\n", "\r\n", "\0", "\x01\x02\x1b[31m", "\x7f\x80\x9f", "\u00ad\u200b\u200d\u2060", "\u2028\u2029", "\ufeff", "\ufffe\uffff",
    "\U0010ffff", "\u202eabc", "e\u0301\u0327" * 50, "Ω≈ç√∫", "田中さん", "사회과학원", "ﷺ", "👩‍👩‍👧‍👦🇰🇷🏿", "𝕿𝖍𝖊", "'", '"', '\\', "\\\\'", "`", "''\"\"",
    "null", "undefined", "NaN", "Infinity", "true", "0", "-1", "1e309", "0x7fffffff", "9" * 400, "1,000", "<script>alert(1)</script>",
    "&lt;&amp;", "{{7*7}}", "${jndi:ldap://127.0.0.1/a}", "{%raw%}", "%s%n%x", "%00", "../../etc/passwd", "C:\\con\\nul", "/dev/null; touch /tmp/x",
    "$(id)", "' OR 1=1 --", "A" * 3000, "### User:\n", "### Assistant:\n", "<s></s><unk>", "<0x0A>", "▁▁", "data: [DONE]\n\n", "[INST]", "<|im_end|>",
    "http://a/%%30%30", "\r\nSet-Cookie: a=b", "Content-Length: 0\r\n\r\n", "١٢٣", "Power لُلُصّبُلُلصّبُررً ॣ ॣh ॣ ॣ 冗",
]  # fmt: skip


def test_unusual_texts_are_served_like_others(post, server):
    assert len(NAUGHTY) >= 60
    for text in NAUGHTY:
        chat = {"messages": [{"role": "user", "content": text}], "max_tokens": 1, "user": text[:60]}
        answer = post("/v1/chat/completions", json.dumps(chat).encode())
        assert answer.status_code == 200, (text, answer.text)
        unknown = post("/v1/chat/completions", json.dumps(chat | {"model": "x" + text}).encode())
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
        echoed = post("/v1/completions", json.dumps({"prompt": text, "echo": True, "max_tokens": 1}).encode())
        assert echoed.json()["choices"][0]["text"].startswith(text)
        tokens = post("/tokenize", json.dumps({"prompt": text}).encode()).json()["tokens"]
        back = post("/detokenize", json.dumps({"tokens": tokens}).encode())
        assert back.status_code == 200
    assert get_json(server.base_url + "/health/ready")[0] == 200
