"""The answer to one client does not depend on the other clients: byte for byte, also with sampling."""

import concurrent.futures
import json
import urllib.request

from support import DEADLINE

PROMPTS = (
    "Tell me a story.", "What is a GPU?", "Hello!", "Write a poem.", "What are you?", "7 * 8", "What is a token?", "Why?"
)  # fmt: skip
MIXED = [
    {"prompt": prompt, "temperature": (0, 1.0, 1.5, 2.0)[index % 4], "top_p": (1.0, 0.9)[index % 2], "seed": index}
    for index, prompt in enumerate(PROMPTS)
]
# The temperature is so high that hardly any answer ends before max_tokens.
LONG = [{"prompt": "Tell me a story.", "temperature": 2.0, "top_p": 1.0, "seed": seed} for seed in range(12)]


def stream_text(server, prompt, **sampling):
    """Returns the whole text of one streamed answer."""
    messages = [{"role": "user", "content": prompt}]
    body = {"model": server.model, "messages": messages, "max_tokens": 200, "stream": True, **sampling}
    request = urllib.request.Request(
        server.base_url + "/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    text = ""
    with urllib.request.urlopen(request, timeout=DEADLINE) as response:
        for line in response:
            if line.startswith(b"data: {"):
                text += json.loads(line[6:])["choices"][0]["delta"].get("content", "")
    return text


def together(server, requests):
    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(lambda request: stream_text(server, **request), requests))


def test_eight_concurrent_streams_have_the_texts_of_single_ones(server):
    alone = [stream_text(server, **request) for request in MIXED]
    assert len(set(alone)) == len(MIXED)
    for _ in range(3):
        assert together(server, MIXED) == alone


def test_preemption_in_a_small_pool_changes_no_text(server, start_server):
    alone = [stream_text(server, **request) for request in LONG]
    with start_server("--kv-cache-memory", "1MiB", "--max-model-len", "256") as small:
        assert together(small, LONG) == alone
        assert small.engine()["preemptions"] > 0, "the pool was too large: nothing was preempted"
