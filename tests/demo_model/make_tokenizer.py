"""Trains the tokenizer of the demonstration model: python -m tests.demo_model.make_tokenizer FOLDER

With these options, the tokenizer encodes in the same way as SOLAR's: BPE, byte fallback, one token per digit, no
normalisation, a dummy prefix. Newlines and emoji are not in the vocabulary and are encoded as bytes.
"""

import itertools
import pathlib
import subprocess
import sys
import tempfile

from . import families

SEED = 11
SAMPLES = 60_000
VOCABULARY = 2048


def text(record):
    return families.render(record["messages"]) + record["answer"]


def without_emoji(line):
    return "".join(c for c in line if not (ord(c) >= 0x1F000 or 0x2600 <= ord(c) < 0x2800 or c == "\ufe0f"))


def main(folder):
    with tempfile.TemporaryDirectory() as scratch:
        corpus = pathlib.Path(scratch, "corpus.txt")
        with corpus.open("w", encoding="utf-8") as out:
            for record in itertools.islice(families.training_samples(SEED), SAMPLES):
                out.write(without_emoji(text(record)) + "\n")
        subprocess.run(
            [
                "spm_train",
                "--input=corpus.txt",
                "--model_prefix=tokenizer",
                f"--vocab_size={VOCABULARY}",
                "--model_type=bpe",
                "--byte_fallback=true",
                "--split_digits=true",
                "--character_coverage=0.9999",
                "--normalization_rule_name=identity",
                "--remove_extra_whitespaces=false",
                "--allow_whitespace_only_pieces=true",
                "--add_dummy_prefix=true",
                "--num_threads=1",
                "--unk_id=0",
                "--bos_id=1",
                "--eos_id=2",
                "--pad_id=-1",
            ],
            check=True,
            cwd=scratch,  # the model file stores the names of its inputs, so these names must be relative
        )
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        pathlib.Path(folder, "tokenizer.model").write_bytes(
            pathlib.Path(scratch, "tokenizer.model").read_bytes()
        )


if __name__ == "__main__":
    main(sys.argv[1])
