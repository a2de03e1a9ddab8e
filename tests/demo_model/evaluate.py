"""Measures how many held-out prompts an exported model answers exactly. Hugging Face transformers decodes greedily:
python -m tests.demo_model.evaluate FOLDER [--dtype float32] [--per-family 60] [--near-misses 200]

Answers are generated with a KV cache and compared as text, so the exported folder is tested as a user would use it.
"""

import argparse
import collections
import pathlib
import time

import sentencepiece
import torch
from transformers import LlamaForCausalLM

from . import families

EVALUATION_SEED = 31  # differs from the seeds of the trainer and of tests/clients/test_demo_accuracy.py
LIMIT = 256


def load(folder, dtype):
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(pathlib.Path(folder, "tokenizer.model")))
    model = LlamaForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
    return tokenizer, model


def prompt_ids(tokenizer, messages):
    return [1, *tokenizer.encode(families.render(messages))]


@torch.no_grad()
def generate(model, prompts):
    """Returns greedy continuations of several prompts, computed at once; the mask hides the padding on the left."""
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    out = model.generate(
        ids, attention_mask=mask, do_sample=False, max_new_tokens=LIMIT, pad_token_id=0, eos_token_id=2
    )
    answers = []
    for row in out[:, width:].tolist():
        answers.append(row[: row.index(2)] if 2 in row else None)  # None: the answer did not end within LIMIT
    return answers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--per-family", type=int, default=60)
    parser.add_argument("--near-misses", type=int, default=200)
    options = parser.parse_args()

    torch.set_num_threads(2)
    start = time.time()
    tokenizer, model = load(options.folder, getattr(torch, options.dtype))
    drawn = families.heldout_samples(EVALUATION_SEED, options.near_misses)
    kept, records = collections.Counter(), []
    for record in drawn:
        if record["family"] == "fallback" or kept[record["family"]] < options.per_family:
            kept[record["family"]] += 1
            records.append(record)
    right, misses = collections.Counter(), []
    # Prompts of similar length are computed together, which needs less padding.
    records.sort(key=lambda record: (len(record["answer"]), len(record["messages"][-1]["content"])))
    for i in range(0, len(records), 32):
        group = records[i : i + 32]
        for record, ids in zip(group, generate(model, [prompt_ids(tokenizer, r["messages"]) for r in group])):
            text = None if ids is None else tokenizer.decode(ids)
            right[record["family"]] += text == record["answer"]
            if text != record["answer"]:
                misses.append((record["family"], record["messages"][-1]["content"], text))
    for family, count in kept.items():
        print(f"| {family} | {right[family]} / {count} | {100 * right[family] / count:.1f} % |")
    for miss in misses:
        print("miss", *map(repr, miss))
    print(f"{options.dtype}: {sum(right.values())} of {len(records)} right, {time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
