"""lm-evaluation-harness scores the demonstration model through /v1/completions, unchanged.

The task is multiple choice by log-likelihood, made from the model's facts. The right answer of some questions is wrong
on purpose, so that the score to be found is known and is neither 0 nor 1.
"""

import json
import os
import sys

import pytest

for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
    os.environ[name] = "1"  # read when the packages are imported

from support import DEADLINE, ROOT, client_library  # noqa: E402

lm_eval = client_library("lm_eval")
requests = client_library("requests")
sys.path.insert(0, str(ROOT / "tests"))

from demo_model import facts  # noqa: E402

MODEL = ROOT / "config/demo-model"
CHOICES = 4
TASK = "solard_facts"


def questions():
    """Yields prompt, choices and the number of the right choice. Every fourth question asks for a wrong choice."""
    capitals = list(facts.CAPITALS.items())[:12]
    opposites = list(facts.OPPOSITES.items())[:8]
    for pairs, ask, begin in (
        (capitals, "What is the capital of {}?", "The capital of {} is"),
        (opposites, "What is the opposite of {}?", "The opposite of {} is"),
    ):
        for number, (key, _) in enumerate(pairs):
            choices = [pairs[(number + step) % len(pairs)][1] + "." for step in range(CHOICES)]
            turn = f"### User:\n{ask.format(key)}\n\n### Assistant:\n{begin.format(key)}"
            yield {"prompt": turn, "choices": choices, "gold": 1 if number % 4 == 3 else 0}


def evaluate(server, folder, **arguments):
    """Runs the harness with the task and returns its results."""
    (folder / "facts.jsonl").write_text("".join(json.dumps(question) + "\n" for question in questions()))
    task = {
        "task": TASK,
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {"test": str(folder / "facts.jsonl")},
            "cache_dir": str(folder / "cache"),
        },
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{prompt}}",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "metric_list": [{"metric": "acc"}],
    }
    model = {
        "model": server.model,
        "base_url": server.base_url + "/completions",
        "tokenizer_backend": "huggingface",
        "tokenizer": str(MODEL),
        "add_bos_token": True,
        "max_length": 4096,
    }
    return lm_eval.simple_evaluate(
        model="local-completions", model_args=model | arguments, tasks=[task], bootstrap_iters=0
    )


def post(server, path, body):
    answer = requests.post(server.root_url + path, json=body, timeout=DEADLINE)
    assert answer.status_code == 200, answer.text
    return answer.json()


def tokens_of(server, text):
    return post(server, "/tokenize", {"prompt": text})["tokens"]


def likelihood(server, prompt, choice):
    """Returns the sum of the log-probabilities of the choice's tokens, and whether the model would choose them."""
    begin, whole = tokens_of(server, prompt), tokens_of(server, f"{prompt} {choice}")
    assert whole[: len(begin)] == begin
    rest = whole[len(begin) :]
    body = {"prompt": whole, "max_tokens": 0, "prompt_logprobs": 0}
    entries = post(server, "/v1/completions", body)["choices"][0]["prompt_logprobs"][len(begin) :]
    body = {"prompt": begin, "max_tokens": len(rest), "temperature": 0, "return_token_ids": True}
    generated = post(server, "/v1/completions", body)["choices"][0]["token_ids"]
    return sum(entry[str(token)]["logprob"] for token, entry in zip(rest, entries)), generated == rest


@pytest.fixture(scope="module")
def direct(server):
    """Our own evaluation: for each question the log-likelihood of each choice, and whether it is the greedy answer."""
    rows = [[likelihood(server, one["prompt"], choice) for choice in one["choices"]] for one in questions()]
    assert all([greedy for _, greedy in row] == [True] + [False] * (CHOICES - 1) for row in rows), "known facts"
    return rows


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 1},
        {"batch_size": 8},
        {"batch_size": 2, "num_concurrent": 4},
    ],
    ids=["one by one", "several prompts", "concurrent"],
)
def test_score_is_that_of_our_own_evaluation(server, direct, tmp_path, arguments):
    asked = list(questions())
    best = [max(range(CHOICES), key=lambda choice: row[choice][0]) for row in direct]
    wanted = sum(choice == one["gold"] for choice, one in zip(best, asked)) / len(asked)
    assert wanted == 0.75

    found = evaluate(server, tmp_path, **arguments)

    assert found["results"][TASK]["acc,none"] == wanted
    samples = sorted(found["samples"][TASK], key=lambda sample: sample["doc_id"])
    assert len(samples) == len(asked)
    for sample, row in zip(samples, direct):
        scored = [answer[0] for answer in sample["resps"]]
        assert [is_greedy for _, is_greedy in scored] == [greedy for _, greedy in row]
        assert [number for number, _ in scored] == pytest.approx([number for number, _ in row], abs=1e-3)
