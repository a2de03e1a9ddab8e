"""1,000 random requests over every route, with the status, prompt and tokens that the table of fields says.

`random_requests.py` builds them from the table, `reference_model.py` computes the prompts and logits, and
`reference_sampler.py` says which tokens may be chosen and how an answer ends.
"""

import json
import os
import queue
import random
import threading

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the threads of NumPy and of the server would fight for the cores

from support import DEADLINE, client_library

for package in ("jinja2", "numpy", "sentencepiece"):
    client_library(package)
requests = client_library("requests")
websockets = client_library("websockets.sync.client")

import reference_model as model  # noqa: E402
from field_table import TABLE  # noqa: E402
from field_values import OF_CONVERSATIONS, OF_SOCKETS, SERVED  # noqa: E402
from random_requests import CAPS, GENERATING, SOCKET, requests_from_table  # noqa: E402
from reference_sampler import Sampling, ending, plausible  # noqa: E402

SEED = 16
NUM_REQUESTS = 1000
LOGPROB_TOLERANCE = 0.25  # the server computes with 16 bits; unlikely tokens in odd texts differ by up to 0.16
CAPITAL = "The capital of France is Paris."  # the answer to the only question that is asked without a small bound


def sampling_of(case, room):
    """Returns the meaning of the fields of a request that is answered."""
    names = ("temperature", "top_p", "min_p", "repetition_penalty", "frequency_penalty", "presence_penalty")
    values = {name: case.value(name) for name in names if case.value(name) is not None}
    seed = case.value("seed", -1)
    stop = case.value("stop", [])
    caps = [int(case.value(name)) for name in CAPS[case.kind] if case.value(name) is not None]
    cap = min([cap for cap in caps if cap >= 0], default=room)
    return Sampling(
        **values,
        top_k=max(int(case.value("top_k", 0)), 0),
        seed=None if seed == -1 else int(seed) % 2**64,
        logit_bias={int(token): bias for token, bias in dict(case.value("logit_bias", {})).items()},
        stop=[stop] if isinstance(stop, str) else stop,
        stop_token_ids=[int(token) for token in case.value("stop_token_ids", [])],
        ignore_eos=case.value("ignore_eos", False),
        skip_special_tokens=case.value("skip_special_tokens", True),
        max_tokens=min(cap, room),
        min_tokens=min(int(case.value("min_tokens", 0)), cap, room),
    )


def conversation_prompt(case):
    messages = list(case.messages)
    if case.kind == "responses" and case.value("instructions") is not None:
        messages.insert(0, ("system", case.body["instructions"]))
    open_end = case.value("continue_final_message", False) or not case.value("add_generation_prompt", True)
    return model.render(messages, not open_end)


def encode(case, text):
    """Returns the token ids of a prompt."""
    ids = model.encode(text)
    has_field = case.kind in ("chat", "completions", "tokenize")
    return ids if case.value("add_special_tokens", True) or not has_field else ids[1:]


def prompts_of(case):
    """Returns the token ids of each prompt, and the text that `echo` repeats of each."""
    if not case.kind == "completions":
        last_role, last_text = case.messages[-1]
        echoed = last_text if case.value("echo") and case.kind == "chat" and last_role == "assistant" else ""
        return [(encode(case, conversation_prompt(case)), echoed)]
    prompts = []
    for prompt in case.prompts:
        if isinstance(prompt, str):
            ids, text = encode(case, prompt), prompt
        else:
            ids = [int(token) for token in prompt]
            text = model.text_of(ids, case.value("skip_special_tokens", True)).removeprefix(" ")
        prompts.append((ids, text if case.value("echo") else ""))
    return prompts


def join_chunks(answer):
    """Returns a stream's chunks as the whole answer that they stand for."""
    whole = {"choices": {}, "usage": None}
    lines = [line.removeprefix("data: ") for line in answer.split("\n") if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    for chunk in map(json.loads, lines[:-1]):
        whole["usage"] = chunk.get("usage") or whole["usage"]
        for part in chunk["choices"]:
            empty = {"text": "", "token_ids": None, "logprobs": [], "finish_reason": None, "stop_reason": None}
            choice = whole["choices"].setdefault(part["index"], empty)
            choice["text"] += part["text"] if "text" in part else part["delta"].get("content") or ""
            if part.get("token_ids") is not None:
                choice["token_ids"] = (choice["token_ids"] or []) + part["token_ids"]
            choice["logprobs"] += logprobs_of(part)
            for name in ("finish_reason", "stop_reason"):
                choice[name] = part.get(name) if part.get(name) is not None else choice[name]
    whole["choices"] = [whole["choices"][index] for index in sorted(whole["choices"])]
    return whole


def logprobs_of(choice):
    logprobs = choice.get("logprobs") or {}
    return [entry["logprob"] for entry in logprobs.get("content") or []] or logprobs.get("token_logprobs") or []


def read_choices(case, answer):
    """Returns (choices, usage) of an answer of chat or completions."""
    if case.value("stream"):
        whole = join_chunks(answer)
        return whole["choices"], whole["usage"]
    whole = json.loads(answer)
    for choice in whole["choices"]:
        choice["logprobs"] = logprobs_of(choice)
        choice.setdefault("prompt_logprobs", whole.get("prompt_logprobs"))
        choice.setdefault("text", choice.get("message", {}).get("content"))
    return whole["choices"], whole["usage"]


def read_response(case, answer):
    """Returns (choices, usage) of an answer of /v1/responses. Its log-probabilities tell its tokens."""
    if case.value("stream") and case.path != SOCKET:
        lines = [line.removeprefix("data: ") for line in answer.split("\n") if line.startswith("data: ")]
        response = json.loads(lines[-1])["response"]
    else:
        response = json.loads(answer)
    (part,) = response["output"][0]["content"]
    choice = {"text": part["text"], "logprobs": [entry["logprob"] for entry in part.get("logprobs") or []]}
    choice["token_bytes"] = [bytes(entry["bytes"]) for entry in part.get("logprobs") or []]
    choice["finish_reason"] = "stop" if response["status"] == "completed" else "length"
    return [choice], {"prompt_tokens": response["usage"]["input_tokens"], "completion_tokens": response["usage"]["output_tokens"]}


class Checker:
    """Compares answers with what the reference says, and counts what it could decide."""

    def __init__(self):
        self.num_tokens = 0
        self.num_decided = 0  # tokens for which the reference left no choice
        self.lock = threading.Lock()

    def check(self, case, status, answer):
        if case.errors:
            assert status >= 400, f"status {status}, expected one of {case.errors}"
            error = json.loads(answer)["error"]
            found = (status, error["code"], error["param"])
            assert found in case.errors, f"{found}, expected one of {case.errors}: {error['message']}"
            assert (error["param"] or "") in error["message"]
            return
        assert status == 200, f"status {status}, expected 200: {answer[:300]}"
        if case.path in GENERATING:
            self.check_answer(case, answer)
        else:
            self.check_prompt(case, json.loads(answer))

    def check_prompt(self, case, answer):
        """Checks the routes that show how a prompt is read."""
        if case.path == "/detokenize":
            tokens = [int(token) for token in case.body["tokens"]]
            assert answer == {"prompt": model.text_of(tokens, case.value("skip_special_tokens", True)).removeprefix(" ")}
            return
        text = case.prompts[0] if case.prompts else conversation_prompt(case)
        ids = encode(case, text)
        if case.path == "/v1/responses/input_tokens":
            assert answer == {"object": "response.input_tokens", "input_tokens": len(ids)}
            return
        if case.path == "/v1/chat/completions/render":
            assert (answer["prompt"], answer["token_ids"]) == (text, ids)
        else:
            strings = [model.text_of([token], skip_special_tokens=False) for token in ids] if case.value("return_token_strs") else None
            assert (answer["tokens"], answer["token_strs"]) == (ids, strings)
        assert (answer["count"], answer["max_model_len"]) == (len(ids), model.CONTEXT)

    def check_answer(self, case, answer):
        read = read_response if case.kind == "responses" else read_choices
        choices, usage = read(case, answer)
        prompts = prompts_of(case)
        n = int(case.value("n", 1))
        assert len(choices) == n * len(prompts)
        counts = []
        for index, choice in enumerate(choices):
            prompt, echoed = prompts[index // n]
            sampling = sampling_of(case, model.CONTEXT - len(prompt))
            self.check_scores(case, choice, prompt)
            counts.append(self.check_choice(choice, sampling, prompt, echoed, index % n))
            if sampling.max_tokens > 20:  # the request is the plain question
                assert choice["text"] == echoed + CAPITAL
        if usage is None:  # a stream that was not asked for it
            return
        assert usage["prompt_tokens"] == sum(len(prompt) for prompt, _ in prompts)
        assert None in counts or usage["completion_tokens"] == sum(counts)

    def check_choice(self, choice, sampling, prompt, echoed, number):
        """Checks one choice, and returns the number of its tokens, or None if the answer does not say its tokens."""
        if sampling.max_tokens == 0:
            assert (choice["text"], choice["finish_reason"], choice["logprobs"]) == (echoed, "length", [])
            return 0
        candidates = [[token] for token in choice.get("token_ids") or []]
        if not candidates:
            candidates = [model.tokens_of_bytes()[one] for one in choice.get("token_bytes", [])]
        if not candidates:
            return None
        reported = choice["logprobs"] or [0] * len(candidates)
        tokens = []
        # Several tokens may have the same bytes. The reported log-probability tells which one it was.
        for possible, logprob in zip(candidates, reported, strict=True):
            row = model.log_softmax(model.logits(prompt, [*tokens, possible[0]]))[-1] if len(possible) > 1 else None
            tokens.append(possible[0] if row is None else min(possible, key=lambda token: abs(row[token] - logprob)))
        rows = model.logits(prompt, tokens)
        for position, (token, row) in enumerate(zip(tokens, rows)):
            allowed = plausible(row, sampling, prompt, tokens[:position], number)
            assert allowed[token], f"choice {number}: token {token} at {position}, expected one of {allowed.nonzero()[0][:9]}"
            self.count(allowed)
        self.check_ending(choice, sampling, tokens, echoed)
        for row, token, found in zip(model.log_softmax(rows), tokens, choice["logprobs"]):
            assert abs(found - row[token]) < LOGPROB_TOLERANCE, f"logprob {found}, not {row[token]}"
        return len(tokens)

    @staticmethod
    def check_scores(case, choice, prompt):
        """Checks the log-probabilities of the prompt, and takes those that `echo` repeats away from the answer's."""
        rows = model.log_softmax(model.logits(prompt[:1], prompt[1:])) if len(prompt) > 1 else []
        if case.kind == "completions" and case.value("echo") and case.value("logprobs", False) is not False:
            scores, choice["logprobs"] = choice["logprobs"][: len(prompt)], choice["logprobs"][len(prompt) :]
            assert scores[0] is None
            for found, token, row in zip(scores[1:], prompt[1:], rows, strict=True):
                assert abs(found - row[token]) < LOGPROB_TOLERANCE, f"logprob {found} of the prompt, not {row[token]}"
        count = case.value("prompt_logprobs")
        if count is None:
            assert choice.get("prompt_logprobs") is None
            return
        assert choice["prompt_logprobs"][0] is None
        for entry, token, row in zip(choice["prompt_logprobs"][1:], prompt[1:], rows, strict=True):
            own = entry[str(token)]
            assert len(entry) == int(count) + (own["rank"] > count)
            for name, one in entry.items():
                logprob = row[int(name)]
                assert abs(one["logprob"] - logprob) < LOGPROB_TOLERANCE
                least = (row > logprob + 2 * LOGPROB_TOLERANCE).sum() + 1
                most = (row >= logprob - 2 * LOGPROB_TOLERANCE).sum()
                assert least <= one["rank"] <= most, f"rank {one['rank']} of token {name}, expected {least} to {most}"

    @staticmethod
    def check_ending(choice, sampling, tokens, echoed):
        for count in range(1, len(tokens)):
            assert ending(tokens[:count], sampling) is None, f"the answer should have ended after {count} tokens"
        expected = ending(tokens, sampling)
        assert expected, f"the answer should not have ended after {len(tokens)} tokens"
        text, finish, reason = expected
        assert (choice["text"], choice["finish_reason"]) == (echoed + text, finish)
        assert choice.get("stop_reason", reason) == reason

    def count(self, allowed):
        with self.lock:
            self.num_tokens += 1
            self.num_decided += int(allowed.sum() == 1)


def as_curl(server, case):
    body = json.dumps(case.body, ensure_ascii=False).replace("'", "'\\''")
    if case.path == SOCKET:
        return f"{case.path} '{body}'"
    return f"curl -s {server.root_url}{case.path} -H 'Content-Type: application/json' -d '{body}'"


class Connection:
    """One kept HTTP connection and one WebSocket."""

    def __init__(self, server, socket):
        self.server = server
        self.session = requests.Session()
        self.socket = socket

    def send(self, case):
        """Returns (status, answer); what a WebSocket answers is returned as the HTTP answer that has the same members."""
        if case.path != SOCKET:
            answer = self.session.post(self.server.root_url + case.path, json=case.body, timeout=DEADLINE)
            return answer.status_code, answer.text
        self.socket.send(json.dumps(case.body | {"type": "response.create"}))
        while True:
            event = json.loads(self.socket.recv(timeout=DEADLINE))
            if event["type"] == "error":
                return event["status"], json.dumps({"error": event["error"]})
            if event["type"] in ("response.completed", "response.incomplete", "response.failed"):
                return 500 if event["type"] == "response.failed" else 200, json.dumps(event["response"])


def send_all(server, cases, checker):
    """Sends the requests over eight kept connections, and returns a text about each that failed."""
    waiting, failures = queue.SimpleQueue(), []
    for number, case in enumerate(cases):
        waiting.put((number, case))

    def work():
        with websockets.connect(f"ws://127.0.0.1:{server.port}/v1/responses") as socket:
            connection = Connection(server, socket)
            while True:
                try:
                    number, case = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    checker.check(case, *connection.send(case))
                except Exception as error:  # the thread goes on, and the test shows every failure
                    failures.append(f"request {number}: {type(error).__name__} {error}\n{as_curl(server, case)}")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert waiting.empty(), "some requests were not sent"
    return failures


def test_random_requests_are_answered_as_the_table_says(server):
    cases = requests_from_table(random.Random(SEED), NUM_REQUESTS)
    checker = Checker()
    failures = send_all(server, cases, checker)
    refused = sum(bool(case.errors) for case in cases)
    print(f"seed {SEED}: {refused} refused, {checker.num_decided} of {checker.num_tokens} tokens decided")
    assert not failures, f"seed {SEED}, {len(failures)} failures; the first ones:\n" + "\n".join(failures[:10])
    assert NUM_REQUESTS * 0.3 < refused < NUM_REQUESTS * 0.6
    assert checker.num_tokens > 1000 and checker.num_decided > checker.num_tokens / 2


def test_every_served_field_has_values_in_this_test():
    served = {line.name for line in TABLE if line.handling == "served" and "[" not in line.name}
    assert served - OF_SOCKETS - OF_CONVERSATIONS == set(SERVED)
