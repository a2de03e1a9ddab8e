"""How the openai package waits: it retries until there is capacity, and stops at its timeout."""

import threading

import pytest

from support import client_library, make_key, wait_until

openai = client_library("openai")

HI = [{"role": "user", "content": "Hi"}]


def client_of(server, **options):
    return openai.OpenAI(base_url=server.base_url, **{"api_key": "none", "max_retries": 0} | options)


def ask(client, server, **fields):
    return client.chat.completions.create(model=server.model, messages=HI, max_tokens=2, **fields)


class Endless:
    """An answer that runs until `leave` is called."""

    def __init__(self, server, **options):
        self.stream = client_of(server, **options).chat.completions.create(
            model=server.model, messages=HI, max_tokens=3000, stream=True
        )
        next(iter(self.stream))

    def leave(self):
        self.stream.close()


def test_full_server_is_retried_until_there_is_capacity(endless_model, start_server):
    with start_server("--model", str(endless_model), "--max-num-seqs", "1", "--max-queued-requests", "0") as server:
        endless = Endless(server)
        with pytest.raises(openai.InternalServerError) as full:
            ask(client_of(server), server)
        assert (full.value.status_code, full.value.code) == (503, "server_overloaded")
        assert 1 <= int(full.value.response.headers["retry-after"]) <= 30
        assert 100 <= int(full.value.response.headers["retry-after-ms"]) <= 30_000
        answers = []
        patient = client_of(server, max_retries=20)
        waiting = threading.Thread(target=lambda: answers.append(ask(patient, server)))
        waiting.start()
        wait_until(lambda: server.log().count(" 503 ") >= 2, "the first 503 of the client that retries")
        endless.leave()
        waiting.join()
        assert answers[0].choices[0].finish_reason == "length"


def test_key_over_its_concurrency_limit_is_retried(endless_model, start_server, tmp_path):
    key = make_key(tmp_path / "keys", "alice", "concurrency=1")
    flags = ("--model", str(endless_model), "--api-key-file", str(tmp_path / "keys"))
    with start_server(*flags, api_key=key) as server:
        endless = Endless(server, api_key=key)
        with pytest.raises(openai.RateLimitError) as refusal:
            ask(client_of(server, api_key=key), server)
        assert refusal.value.code == "rate_limit_exceeded"
        endless.leave()
        assert ask(client_of(server, api_key=key, max_retries=20), server).choices


def test_client_timeout_stops_the_generation(endless_server):
    before = endless_server.engine()["generated_tokens"]
    with pytest.raises(openai.APITimeoutError):
        client_of(endless_server, timeout=0.2).chat.completions.create(
            model=endless_server.model, messages=HI, max_tokens=3000
        )
    endless_server.wait_until_idle()
    assert endless_server.engine()["generated_tokens"] - before < 3000
