"""Load generators read a stream by rules of their own; here the server's raw bytes are checked with these rules.

The readers are written from the descriptions of the programs. Each reader gets the bytes of each network read. It
fails if data that the program needs is missing: the program would then count a failed request.
"""

import asyncio
import json
import socket

import pytest

from support import DEADLINE, client_library, get_json

aiohttp = client_library("aiohttp")
requests = client_library("requests")

CHAT = {
    "messages": [{"role": "user", "content": [{"type": "text", "text": "What is the capital of France?"}]}],
    "temperature": 0,
    "max_completion_tokens": 40,
    "stream": True,
    "stream_options": {"include_usage": True},
}
TEXT = {
    "prompt": "### User:\nWhat is the capital of France?\n\n### Assistant:\n",
    "temperature": 0,
    "repetition_penalty": 1.0,
    "max_tokens": 40,
    "logprobs": None,
    "stream": True,
    "stream_options": {"include_usage": True},
}
ANSWER = "The capital of France is Paris."


def network_reads(server, path, body):
    """Returns the answer's body in the pieces which the socket received: one piece per transfer-coding chunk."""
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nx-request-id: bench-1\r\n"
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as wire:
        wire.sendall(head.encode() + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(data) + data)
        raw = b""
        while piece := wire.recv(65536):
            raw += piece
    head, rest = raw.split(b"\r\n\r\n", 1)
    assert b" 200 " in head.split(b"\r\n")[0] and b"text/event-stream" in head
    reads = []
    while True:
        size, rest = rest.split(b"\r\n", 1)
        if int(size, 16) == 0:
            return reads
        reads.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]


def read_like_vllm_bench(reads, text_of):
    """Strips each read and splits it at blank lines. A chunk with choices is one token time; others may have usage."""
    text, token_times, usage = "", 0, None
    for read in filter(bytes.strip, reads):
        for event in read.strip().decode().split("\n\n"):
            assert event.startswith("data: "), event
            data = event.removeprefix("data: ")
            if data == "[DONE]":
                continue
            chunk = json.loads(data)
            if chunk.get("choices"):
                piece = text_of(chunk["choices"][0])
                text += piece or ""
                token_times += 1
            elif "usage" in chunk:
                usage = chunk["usage"]
    return text, token_times, usage


def read_like_guidellm(reads, text_of):
    """Reads lines. `data: [DONE]` must end the stream, no chunk may have an `error`, and any chunk may have usage."""
    text, usage, done = "", None, False
    for line in b"".join(reads).decode().split("\n"):
        if line == "data: [DONE]":
            done = True
            continue
        if not line.startswith("data: "):
            continue
        assert not done, line
        chunk = json.loads(line[len("data: ") :])
        assert "error" not in chunk
        usage = chunk.get("usage") or usage
        text += "".join(text_of(choice) or "" for choice in chunk["choices"])
    assert done
    assert text or usage["completion_tokens"], "guidellm counts an empty answer as a failure"
    return text, usage


def read_like_chatnvidia(reads):
    """Parses each line as JSON from its first brace on. Reads choices[0] only, and collects the usage of all chunks."""
    text, usages, finish = "", [], None
    for line in b"".join(reads).decode().split("\n"):
        if line == "data: [DONE]" or "{" not in line:
            continue
        chunk = json.loads(line[line.index("{") :])
        assert chunk.get("choices") is not None or chunk["error"].get("object") != "error", chunk
        if chunk.get("usage"):
            usages.append(chunk["usage"])
        if chunk["choices"]:
            assert "finish_reason" in chunk["choices"][0]
            text += chunk["choices"][0]["delta"].get("content") or ""
            finish = chunk["choices"][0]["finish_reason"] or finish
    return text, usages, finish


def read_like_aiperf(reads):
    """Reads SSE and requires a known `object`. The first chunk with text is the first token. Uses the last usage."""
    texts, usage = [], None
    for line in b"".join(reads).decode().splitlines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or data == "[DONE]":
            continue
        chunk = json.loads(data)
        assert chunk["object"] in ("chat.completion.chunk", "text_completion")
        text_of = of_text if chunk["object"] == "text_completion" else of_chat
        texts += [text for choice in chunk["choices"] if (text := text_of(choice))]
        usage = chunk.get("usage") or usage
    return "".join(texts), len(texts), usage


def of_chat(choice):
    return choice["delta"].get("content")


def of_text(choice):
    return choice["text"]


@pytest.mark.parametrize(
    "path, body, text_of", [("/v1/chat/completions", CHAT, of_chat), ("/v1/completions", TEXT, of_text)]
)
def test_vllm_bench(server, path, body, text_of):
    reads = network_reads(server, path, body)
    text, token_times, usage = read_like_vllm_bench(reads, text_of)
    assert text == ANSWER
    assert usage["completion_tokens"] > 1 and usage["prompt_tokens"] > 1
    assert 1 <= token_times <= usage["completion_tokens"] + 1
    # The first chunk must hold text: a chunk with the role alone would count as an early first token.
    first = json.loads(reads[0].split(b"\n\n")[0].removeprefix(b"data: "))
    assert text_of(first["choices"][0])


@pytest.mark.parametrize("continuous", [False, True])
@pytest.mark.parametrize("body", [CHAT, TEXT], ids=["chat", "text"])
def test_guidellm(server, body, continuous):
    assert requests.get(server.root_url + "/health").status_code == 200
    assert get_json(server.base_url + "/models")[1]["data"][0]["id"] == server.model
    options = {"include_usage": True} | ({"continuous_usage_stats": True} if continuous else {})
    body = body | {"ignore_eos": True, "stream_options": options}
    path, text_of = ("/v1/chat/completions", of_chat) if "messages" in body else ("/v1/completions", of_text)
    text, usage = read_like_guidellm(network_reads(server, path, body), text_of)
    assert text.startswith(ANSWER)
    assert usage["completion_tokens"] == 40


def test_vllm_bench_with_token_ids_and_fixed_lengths(server):
    """The random data set of vllm bench needs prompts and answers with exactly the requested numbers of tokens."""
    body = TEXT | {"prompt": [5 + i % 200 for i in range(64)], "max_tokens": 32, "ignore_eos": True}
    _, token_times, usage = read_like_vllm_bench(network_reads(server, "/v1/completions", body), of_text)
    assert token_times >= 1
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (64, 32)


async def real_network_reads(session, url, body):
    """Returns the network reads as an event loop receives them, which may be any pieces of the body."""
    async with session.post(url, json=body) as response:
        assert response.status == 200
        return [read async for read in response.content.iter_any()]


@pytest.mark.parametrize(
    "path, body, text_of", [("/chat/completions", CHAT, of_chat), ("/completions", TEXT, of_text)], ids=["chat", "text"]
)
def test_vllm_bench_and_guidellm_read_many_streams_at_once(server, path, body, text_of):
    async def all_at_once():
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            url = server.base_url + path
            return await asyncio.gather(*(real_network_reads(session, url, body) for _ in range(48)))

    for reads in asyncio.run(all_at_once()):
        text, token_times, usage = read_like_vllm_bench(reads, text_of)
        assert text == ANSWER
        assert 1 <= token_times <= usage["completion_tokens"] + 1
        assert read_like_guidellm(reads, text_of)[0] == ANSWER


def test_chatnvidia(server):
    text, usages, finish = read_like_chatnvidia(network_reads(server, "/v1/chat/completions", CHAT))
    assert (text, len(usages), finish) == (ANSWER, 1, "stop")


@pytest.mark.parametrize(
    "path, body", [("/v1/chat/completions", CHAT), ("/v1/completions", TEXT)], ids=["chat", "text"]
)
def test_aiperf(server, path, body):
    text, num_texts, usage = read_like_aiperf(network_reads(server, path, body))
    assert text == ANSWER
    assert 1 <= num_texts <= usage["completion_tokens"]
    whole = requests.post(server.root_url + path, json=body | {"stream": False, "stream_options": None}).json()
    assert whole["object"] == ("chat.completion" if "messages" in body else "text_completion")
    assert whole["usage"]["completion_tokens"] == usage["completion_tokens"]
    assert requests.get(server.root_url + "/metrics").status_code == 200


def test_every_reader_ignores_idle_bytes(start_server):
    """While a long prompt is computed the server sends idle bytes only, and every reader must ignore them."""
    body = CHAT | {"messages": [{"role": "user", "content": "word " * 1500}]}
    with start_server("--keep-alive-interval", "0.001") as server:
        not_streamed = body | {"stream": False, "stream_options": None}
        whole = requests.post(server.base_url + "/chat/completions", json=not_streamed)
        answer = whole.json()["choices"][0]["message"]["content"]
        reads = network_reads(server, "/v1/chat/completions", body | {"cache_salt": "another"})
        assert any(read == b"\n\n" for read in reads)
        assert read_like_vllm_bench(reads, of_chat)[0] == answer
        assert read_like_guidellm(reads, of_chat)[0] == answer
        assert read_like_chatnvidia(reads)[0] == answer


CHUNK = b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}'
USAGE = b'data: {"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
DONE = b"data: [DONE]"
GOOD = [line + b"\n\n" for line in (CHUNK, USAGE, DONE)]

READERS = {
    "vllm bench": lambda reads: read_like_vllm_bench(reads, of_chat)[0],
    "guidellm": lambda reads: read_like_guidellm(reads, of_chat)[0],
    "ChatNVIDIA": lambda reads: read_like_chatnvidia(reads)[0],
    "aiperf": lambda reads: read_like_aiperf(reads)[0],
}


def is_read(name, reads):
    try:
        return READERS[name](reads) == "a"
    except (AssertionError, KeyError, ValueError):
        return False


@pytest.mark.parametrize(
    ("reads", "lost_to"),
    [
        (GOOD, set()),
        ([b"".join(GOOD)], set()),
        ([b"\n\n", *GOOD], set()),
        ([GOOD[0] + b"\n\n", *GOOD[1:]], set()),
        ([b": idle\n\n", *GOOD], {"vllm bench"}),
        ([GOOD[0].replace(b"\n\n", b"\n") + GOOD[1], DONE], {"vllm bench"}),
        ([b"".join(GOOD).replace(b"\n", b"\r\n")], {"vllm bench", "guidellm"}),
        ([read.replace(b"data: ", b"data:") for read in GOOD], {"vllm bench", "guidellm"}),
        (GOOD[:2], {"guidellm"}),
        ([GOOD[0], b'data: {"error":{"object":"error","message":"x"}}\n\n'], {"guidellm", "ChatNVIDIA", "aiperf"}),
        ([b'data: {"error":{"object":"error","message":"x"}}\n\n'], set(READERS)),
    ],
    ids=["good", "glued", "idle first", "idle glued", "comment", "one line feed", "CRLF", "no space", "no end",
         "error later", "error first"],
)  # fmt: skip
def test_readers_are_as_strict_as_described(reads, lost_to):
    """If a reader accepted broken streams, its tests would prove nothing about the server."""
    assert {name for name in READERS if not is_read(name, reads)} == lost_to
