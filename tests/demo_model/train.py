"""Trains the demonstration model: python -m tests.demo_model.train FOLDER --steps N [--checkpoints DIR]

FOLDER must hold tokenizer.model (make_tokenizer.py makes it). Training uses one process, fixed seeds and a fixed number
of steps. The result may still differ between CPUs. The committed checkpoint is what counts; this file shows how it was
made.
"""

import argparse
import collections
import itertools
import math
import pathlib
import random
import time

import sentencepiece
import torch
import torch.nn.functional as F

from . import families
from . import model as llama
from .pinned import require_pinned_versions

DATA_SEED = 21  # training samples
POLISH_SEED = 24  # training samples of the second stage
INIT_SEED = 22  # weights and order of batches
CHECK_SEED = 23  # held-out prompts that are checked during training
BATCH_TOKENS = 4096
POOL = 4096  # number of samples that are sorted by length together
EOS = 2


def encode(tokenizer, record):
    """Returns the prompt ids as the server makes them (one encoding with its dummy prefix), and the answer's ids."""
    prompt = [1, *tokenizer.encode(families.render(record["messages"]))]
    # Encodes a newline before the answer, because the answer follows a newline at inference, too. Then removes two ids:
    # SentencePiece's dummy prefix and the newline.
    answer = tokenizer.encode("\n" + record["answer"])[2:]
    return prompt, [*answer, EOS]


def batches(tokenizer, seed, samples):
    """Yields batches (ids, targets) without end. Samples of similar length share a batch, which is padded on the right.
    The targets are -1 outside the answer."""
    rng = random.Random(seed)
    while True:
        pool = sorted(
            (encode(tokenizer, next(samples)) for _ in range(POOL)), key=lambda pa: len(pa[0]) + len(pa[1])
        )
        groups, group = [], []
        for pair in pool:
            if group and (len(group) + 1) * (len(pair[0]) + len(pair[1])) > BATCH_TOKENS:
                groups.append(group)
                group = []
            group.append(pair)
        groups.append(group)
        rng.shuffle(groups)
        for group in groups:
            width = max(len(p) + len(a) for p, a in group) - 1
            ids = torch.zeros(len(group), width, dtype=torch.long)
            targets = torch.full((len(group), width), -1)
            for row, (prompt, answer) in enumerate(group):
                line = torch.tensor(prompt + answer)
                ids[row, : len(line) - 1] = line[:-1]
                targets[row, len(prompt) - 1 : len(line) - 1] = line[len(prompt) :]
            yield ids, targets


class Muon:
    """The Muon optimizer for the hidden matrices: momentum with an orthogonalised step. Matrices of equal shape are
    computed in one batch."""

    def __init__(self, weights, momentum=0.95):
        shapes = collections.defaultdict(list)
        for weight in weights:
            shapes[tuple(weight.shape)].append(weight)
        self.groups = [(group, torch.zeros(len(group), *shape)) for shape, group in shapes.items()]
        self.momentum = momentum

    @torch.no_grad()
    def step(self, lr):
        for weights, velocity in self.groups:
            gradient = torch.stack([weight.grad for weight in weights])
            velocity.lerp_(gradient, 1 - self.momentum)
            x = gradient.lerp(velocity, self.momentum).bfloat16()
            flip = x.shape[1] > x.shape[2]
            x = x.mT.contiguous() if flip else x
            x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
            for _ in range(5):  # Newton-Schulz towards the nearest orthogonal matrix
                a = x @ x.mT
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            x = (x.mT if flip else x).float()
            scale = lr * max(1, x.shape[1] / x.shape[2]) ** 0.5
            for weight, change in zip(weights, x):
                weight.mul_(1 - lr * 0.02).sub_(change, alpha=scale)


def check(net, tokenizer, per_family):
    """Prints the held-out accuracy by family. An answer is right if all its ids and the EOS are exact."""
    right, total, misses = collections.Counter(), collections.Counter(), []
    for record in families.heldout_samples(CHECK_SEED, per_family):
        prompt, wanted = encode(tokenizer, record)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            # Greedy decoding is right exactly if every argmax along the wanted answer is right.
            best = net(torch.tensor([prompt + wanted[:-1]]))[0, len(prompt) - 1 :].argmax(-1).tolist()
        total[record["family"]] += 1
        right[record["family"]] += best == wanted
        if best != wanted:
            misses.append(
                (record["messages"][-1]["content"], tokenizer.decode([i for i in best if i != EOS]))
            )
    for family in total:
        print(f"  {family:15} {right[family]:3}/{total[family]}", end="")
    print(f"\n  all {sum(right.values()) / sum(total.values()):.3f}", flush=True)
    for miss in misses[:25]:
        print("   miss", miss)


def learning_rate(step, steps, polish):
    """Returns the learning rate. In each of the two stages it rises briefly, then falls to zero along a cosine.
    The peak of the second stage is lower."""
    if step <= steps:
        return min(1.0, step / 100) * 0.5 * (1 + math.cos(math.pi * step / steps))
    step -= steps
    return 0.35 * min(1.0, step / 50) * 0.5 * (1 + math.cos(math.pi * step / polish))


def main():
    require_pinned_versions()
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--polish", type=int, default=0, help="steps of the second stage")
    parser.add_argument("--checkpoints", type=pathlib.Path, help="folder for exports during training")
    parser.add_argument("--every", type=int, default=500)
    parser.add_argument("--resume", type=pathlib.Path, help="state.pt of an interrupted run")
    options = parser.parse_args()

    torch.set_num_threads(2)
    torch.manual_seed(INIT_SEED)
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(options.folder / "tokenizer.model"))
    net = llama.Llama()
    hidden = [weight for weight in net.layers.parameters() if weight.ndim == 2]
    others = [weight for name, weight in net.named_parameters() if weight.ndim == 1 or "layers" not in name]
    muon, adam = Muon(hidden), torch.optim.AdamW(others, lr=1.0, betas=(0.9, 0.98), weight_decay=0.0)
    print(f"{sum(weight.numel() for weight in net.parameters())} parameters", flush=True)

    fast = torch.compile(net.hidden, dynamic=True)  # 1.5 times as fast on a CPU
    start, tokens, losses, done = time.time(), 0, [], 0
    if options.resume:
        state = torch.load(options.resume)
        net.load_state_dict(state["net"])
        adam.load_state_dict(state["adam"])
        for (_, velocity), saved in zip(muon.groups, state["muon"]):
            velocity.copy_(saved)
        done, tokens = state["step"], state["tokens"]
        start -= state["seconds"]
    # The second stage is short and has a lower learning rate. Its data also has the plain prompts that visitors type
    # first.
    first = batches(tokenizer, INIT_SEED, families.training_samples(DATA_SEED))
    second = batches(tokenizer, POLISH_SEED, families.training_samples(POLISH_SEED, polish=True))
    stream = itertools.chain(itertools.islice(first, options.steps), itertools.islice(second, options.polish))
    last = options.steps + options.polish
    for step, (ids, targets) in enumerate(stream, 1):
        if step <= done:
            continue  # skips the samples which the interrupted run has used
        rate = learning_rate(step, options.steps, options.polish)
        learn = targets >= 0
        with torch.autocast("cpu", torch.bfloat16):
            logits = net.lm_head(fast(ids)[learn])
        loss = F.cross_entropy(logits.float(), targets[learn])
        loss.backward()
        muon.step(0.02 * rate)
        adam.param_groups[0]["lr"] = 0.003 * rate
        adam.step()
        net.zero_grad()
        tokens += ids.numel()
        losses.append(loss.item())
        if step % 50 == 0 or step == 5:
            spent = time.time() - start
            mean = sum(losses) / len(losses)
            print(
                f"step {step} loss {mean:.4f} tokens {tokens} {tokens / spent:.0f} tok/s {spent:.0f} s",
                flush=True,
            )
            losses = []
        if step % options.every == 0 or step in (options.steps, last):
            check(net, tokenizer, 12 if step < last else 40)
            if options.checkpoints:
                llama.export(net, options.checkpoints)
                state = {"net": net.state_dict(), "adam": adam.state_dict(), "step": step, "tokens": tokens}
                state |= {"muon": [velocity for _, velocity in muon.groups], "seconds": time.time() - start}
                torch.save(state, options.checkpoints / "state.pt")
    llama.export(net, options.folder)
    print(f"done: {last} steps, {tokens} tokens, {time.time() - start:.0f} s")


if __name__ == "__main__":
    main()
