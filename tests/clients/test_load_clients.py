"""The rules by which load clients read a stream, written from their descriptions, held against the server's raw bytes.

Each reader sees the network reads as they come; what it needs and does not find is a failed request to it."""

import json
import socket

import pytest

from support import DEADLINE, client_library, get_json

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
    """The answer's body as the socket gave it, chunk by chunk of the transfer coding."""
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
    """Strips each read, splits it at blank lines; a chunk with choices is a token time, usage comes without choices."""
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
    """Line by line; exactly `data: [DONE]` ends it, and it must come; an `error` raises; usage where it stands."""
    text, usage, done = "", None, False
    for line in b"".join(reads).decode().split("\n"):
        if not line.strip():
            continue
        if line == "data: [DONE]":
            done = True
            continue
        assert not done and line.startswith("data: "), line
        chunk = json.loads(line[len("data: ") :])
        assert "error" not in chunk
        usage = chunk.get("usage") or usage
        text += "".join(text_of(choice) or "" for choice in chunk["choices"])
    assert done
    return text, usage


def read_like_chatnvidia(reads):
    """In each line everything from the first brace is JSON; only choices[0] counts; usages are added up."""
    text, usages, finish = "", [], None
    for line in b"".join(reads).decode().split("\n"):
        if line == "data: [DONE]" or not line:
            continue
        chunk = json.loads(line[line.index("{") :])
        if chunk.get("usage"):
            usages.append(chunk["usage"])
        if chunk["choices"]:
            assert "finish_reason" in chunk["choices"][0]
            text += chunk["choices"][0]["delta"].get("content") or ""
            finish = chunk["choices"][0]["finish_reason"] or finish
    return text, usages, finish


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
    # The first token time is that of a text: a role alone would make it look early.
    first = json.loads(reads[0].split(b"\n\n")[0].removeprefix(b"data: "))
    assert text_of(first["choices"][0])


@pytest.mark.parametrize("continuous", [False, True])
def test_guidellm(server, continuous):
    assert requests.get(server.root_url + "/health").status_code == 200
    assert get_json(server.base_url + "/models")[1]["data"][0]["id"] == server.model
    options = {"include_usage": True} | ({"continuous_usage_stats": True} if continuous else {})
    body = CHAT | {"ignore_eos": True, "stream_options": options}
    text, usage = read_like_guidellm(network_reads(server, "/v1/chat/completions", body), of_chat)
    assert text.startswith(ANSWER)
    assert usage["completion_tokens"] == 40


def test_chatnvidia(server):
    text, usages, finish = read_like_chatnvidia(network_reads(server, "/v1/chat/completions", CHAT))
    assert (text, len(usages), finish) == (ANSWER, 1, "stop")


def test_aiperf(server):
    for read in network_reads(server, "/v1/chat/completions", CHAT):
        for event in read.decode().strip().split("\n\n"):
            if event != "data: [DONE]":
                assert json.loads(event.removeprefix("data: "))["object"] == "chat.completion.chunk"
    whole = requests.post(server.base_url + "/chat/completions", json=CHAT | {"stream": False, "stream_options": None})
    assert whole.json()["object"] == "chat.completion"
    assert requests.get(server.root_url + "/metrics").status_code == 200


def test_idle_bytes_break_no_reader(start_server):
    """While a long prompt is computed there is nothing but idle bytes, and every reader survives them."""
    body = CHAT | {"messages": [{"role": "user", "content": "word " * 1500}]}
    with start_server("--keep-alive-interval", "0.001") as server:
        whole = requests.post(server.base_url + "/chat/completions", json=body | {"stream": False, "stream_options": None})
        answer = whole.json()["choices"][0]["message"]["content"]
        reads = network_reads(server, "/v1/chat/completions", body | {"cache_salt": "another"})
        assert any(read == b"\n\n" for read in reads)
        assert read_like_vllm_bench(reads, of_chat)[0] == answer
        assert read_like_guidellm(reads, of_chat)[0] == answer
        assert read_like_chatnvidia(reads)[0] == answer
