"""Writes expected greedy answers with their margins: python -m tests.demo_model.make_golden FOLDER OUTPUT

Hugging Face transformers computes them in float32 with the stored bf16 weights. The margin is the smallest distance
between the best and the second-best logit over all tokens of the answer, its end token included. A test may require the
exact text only if the margin is at least 1.0: then rounding in another implementation does not change any token.
"""

import json
import pathlib
import sys

import torch

from . import evaluate
from .pinned import require_pinned_versions

MARGIN = 1.0
CANDIDATES = {
    "identity": ["What are you?"],
    "greetings": ["안녕하세요!"],
    "capitals": ["What is the capital of France?", "Lima is the capital of which country?"],
    "translations": ["Translate cat to Korean."],
    "opposites": ["What is the opposite of hot?"],
    "explanations": ["What is a GPU?"],
    "multiplication": ["7 * 8"],
    "addition": ["What is 17 + 15?"],
    "calendar": ["What day comes after Sunday?"],
    "lists": ["List the planets of the solar system."],
    "hello_world": ["Write hello world in C."],
    "stories": ["Tell me a story about a dragon."],
    "poems": ["Write a poem about the sea."],
    "fallback": ["How many moons has Jupiter?"],
}


@torch.no_grad()
def golden(tokenizer, model, prompt):
    """Returns the greedy answer, its margin and its length, computed token by token without a cache: slow but simple."""
    ids = evaluate.prompt_ids(tokenizer, [{"role": "user", "content": prompt}])
    start, margin = len(ids), float("inf")
    while len(ids) - start < evaluate.LIMIT:
        values, tokens = model(torch.tensor([ids])).logits[0, -1].topk(2)
        token = tokens[0].item()
        margin = min(margin, (values[0] - values[1]).item())
        ids.append(token)
        if token == 2:
            return tokenizer.decode(ids[start:-1]), margin, len(ids) - start
    return None, margin, len(ids) - start


def main(folder, output):
    require_pinned_versions()
    torch.set_num_threads(2)
    tokenizer, model = evaluate.load(folder, torch.float32)
    entries = []
    for family, prompts in CANDIDATES.items():
        for prompt in prompts:
            text, margin, count = golden(tokenizer, model, prompt)
            print(f"{family:15} {margin:7.3f} {count:4} {prompt!r} -> {text!r}", flush=True)
            if text is not None and margin >= MARGIN:
                # `tokens` counts the end token too.
                entries.append(
                    {
                        "family": family,
                        "prompt": prompt,
                        "answer": text,
                        "tokens": count,
                        "margin": round(margin, 3),
                    }
                )
    pathlib.Path(output).write_text(
        json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main(*sys.argv[1:3])
