"""Compares teacher-forced log-probabilities of solard with those of Hugging Face transformers, on the card.

usage: parity.py TEACHER_FORCED MODEL [--tokens N] [--length N] [--dtype bf16|fp16] [--device cuda|cpu] [--text FILE]

Both read the same folder and the same tokens. The reference is transformers in float32. The error of solard may be at
most 1.2 times the error of transformers in the same 16-bit type, both in the mean and in the 99.9th percentile. The
script also prints how often the most likely tokens agree. Needs torch, transformers and sentencepiece. --text needs
the tokenizer in the folder; without --text the tokens are random.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy
import sentencepiece
import torch
import transformers

ALLOWED = 1.2


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("teacher_forced")
    parser.add_argument("model")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--length", type=int, default=2048, help="tokens of one sequence")
    parser.add_argument("--dtype", choices=["bf16", "fp16"], default="bf16")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--text")
    return parser.parse_args()


def make_sequences(options, config):
    if options.text:
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(pathlib.Path(options.model) / "tokenizer.model"))
        ids = ([pieces.bos_id()] + pieces.encode(pathlib.Path(options.text).read_text()))[: options.tokens]
        assert len(ids) > 1, "the text has no tokens"
    else:
        ids = numpy.random.default_rng(1).integers(3, config.vocab_size, options.tokens).tolist()
    return [ids[i : i + options.length] for i in range(0, len(ids), options.length) if len(ids[i : i + options.length]) > 1]


def by_transformers(options, sequences, dtype):
    """Returns the log-probabilities of the tokens and the most likely ids, as two arrays over all sequences."""
    model = transformers.AutoModelForCausalLM.from_pretrained(
        options.model, dtype=dtype, attn_implementation="eager").to(options.device).eval()
    logprobs, best = [], []
    with torch.inference_mode():
        for sequence in sequences:
            ids = torch.tensor([sequence], device=options.device)
            logits = model(ids, use_cache=False).logits[0, :-1].float()
            rows = torch.log_softmax(logits.double(), -1)
            logprobs.append(rows.gather(1, ids[0, 1:, None])[:, 0].cpu().numpy())
            best.append(logits.argmax(-1).cpu().numpy())
    del model
    if options.device == "cuda":
        torch.cuda.empty_cache()
    return numpy.concatenate(logprobs), numpy.concatenate(best)


def by_solard(options, sequences):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(" ".join(map(str, sequence)) + "\n" for sequence in sequences)
        file.flush()
        begin = time.monotonic()
        done = subprocess.run([options.teacher_forced, options.model, file.name, options.device, options.dtype],
                              stdout=subprocess.PIPE, text=True, check=True)
    print(f"solard: {sum(map(len, sequences))} tokens, with the load of the model, in {time.monotonic() - begin:.1f} s")
    table = numpy.loadtxt(done.stdout.splitlines(), ndmin=2)
    return table[:, 0], table[:, 1].astype(int)


def main():
    options = parse()
    config = transformers.AutoConfig.from_pretrained(options.model)
    sequences = make_sequences(options, config)
    exact, exact_best = by_transformers(options, sequences, torch.float32)
    half = torch.bfloat16 if options.dtype == "bf16" else torch.float16
    peer, peer_best = by_transformers(options, sequences, half)
    ours, our_best = by_solard(options, sequences)
    assert len(ours) == len(exact), f"{len(ours)} log-probabilities, expected {len(exact)}"
    print(f"{len(ours)} tokens, {options.dtype}, torch {torch.__version__}, transformers {transformers.__version__}")
    failed = False
    for name, measure in [("mean", numpy.mean), ("p99.9", lambda x: numpy.quantile(x, 0.999)), ("max", numpy.max)]:
        own, other = measure(abs(ours - exact)), measure(abs(peer - exact))
        worse = not own <= ALLOWED * other
        failed |= worse and name != "max"
        print(f"{name:6} |difference to fp32|: solard {own:.6f}, transformers {other:.6f}, ratio {own / other:.3f}"
              f"{'  TOO MUCH' if worse and name != 'max' else ''}")
    print(f"likeliest token as in fp32: solard {numpy.mean(our_best == exact_best):.5f}, "
          f"transformers {numpy.mean(peer_best == exact_best):.5f}; solard and transformers agree in "
          f"{numpy.mean(our_best == peer_best):.5f}")
    sys.exit(failed)


main()
