"""Measures, through the server, whether the demonstration model has the accuracy that families.json promises.

The prompts are held out: they are drawn, with the seed of this file, from pairs of phrasing and item that were never
trained on.
"""

import collections
import concurrent.futures
import hashlib
import json
import pathlib
import sys
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from demo_model import describe, families  # noqa: E402  (standard library only)

SEED = 41  # differs from every seed in tests/demo_model
PER_FAMILY = 40
NEAR_MISSES = 120
CONCURRENCY = 16
PROMISED_FAMILIES, PROMISED_FALLBACK = 0.95, 0.90


def ask(base_url, record):
    """Returns the answer's text. If max_tokens cut the answer, the text cannot equal the expected one."""
    body = {"model": "solard-demo", "messages": record["messages"], "temperature": 0, "max_tokens": 256}
    request = urllib.request.Request(
        base_url + "/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as response:
        return json.load(response)["choices"][0]["message"]["content"]


def records():
    count = collections.Counter()
    for record in families.heldout_samples(SEED, NEAR_MISSES):
        count[record["family"]] += 1
        if record["family"] == "fallback" or count[record["family"]] <= PER_FAMILY:
            yield record


def test_families_json_agrees_with_the_generator():
    stored = json.loads((ROOT / "config/demo-model/families.json").read_text(encoding="utf-8"))
    assert stored == describe.describe()
    assert sum(entry["promised"] for entry in stored) >= 7  # six families and the fallback


def test_held_out_prompts_are_new_and_many():
    drawn = list(records())
    prompts = {(record["family"], record["messages"][0]["content"]) for record in drawn}
    per_family = collections.Counter(family for family, _ in prompts)
    assert per_family["fallback"] >= 100
    assert all(
        per_family[name] >= PER_FAMILY for name, (_, _, promised) in families.FAMILIES.items() if promised
    )
    trained = {name: families.trained_prompts(name) for name in families.FAMILIES}
    for record in drawn:
        if record["family"] != "fallback":
            prompt = families.squash(record["messages"][0]["content"])
            assert prompt not in trained[record["family"]]


def test_held_out_accuracy_is_as_promised(server):
    wanted = list(records())
    with concurrent.futures.ThreadPoolExecutor(CONCURRENCY) as pool:
        answers = list(pool.map(lambda record: ask(server.base_url, record), wanted))

    right, total, misses = collections.Counter(), collections.Counter(), collections.defaultdict(list)
    for record, answer in zip(wanted, answers):
        family = record["family"]
        total[family] += 1
        right[family] += answer == record["answer"]
        if answer != record["answer"]:
            misses[family].append((record["messages"][-1]["content"], answer))
    for family in total:
        print(
            f"{family:15} {right[family]:4} / {total[family]:4}  {100 * right[family] / total[family]:5.1f} %"
        )

    promised = {entry["name"] for entry in describe.describe() if entry["promised"]}
    weak = {
        family: misses[family]
        for family in promised
        if right[family] < total[family] * (PROMISED_FALLBACK if family == "fallback" else PROMISED_FAMILIES)
    }
    assert not weak, f"these families are below the promised accuracy; (question, answer) of each miss: {weak}"


def test_golden_answers_are_exact(server):
    """The prompts come from tests/demo_model/make_golden.py; their margins are too large for rounding to matter."""
    golden = json.loads((ROOT / "tests/demo_model/golden_prompts.json").read_text(encoding="utf-8"))
    assert len(golden) >= 12
    for entry in golden:
        assert entry["margin"] >= 1.0
        record = {"messages": [{"role": "user", "content": entry["prompt"]}]}
        assert ask(server.base_url, record) == entry["answer"]


def test_model_card_holds_the_hash_of_every_file():
    folder = ROOT / "config/demo-model"
    card = (folder / "README.md").read_text(encoding="utf-8")
    files = [path for path in folder.iterdir() if path.name != "README.md"]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 16 * 2**20
    for path in files:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in card, path.name
