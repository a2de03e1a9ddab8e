"""Tests that the table of attacks runs a row and prints it. No figure is checked."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def run(*options):
    command = [sys.executable, str(ROOT / "tests/bench/attacks"), os.environ["SOLARD_BINARY"], str(ROOT / "config/demo-model")]
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=200)


def test_a_row_is_printed_and_written(tmp_path):
    file = tmp_path / "attacks.txt"
    done = run("--only", "hard_sampling", "--out", str(file))
    assert done.returncode == 0, done.stderr
    assert done.stdout == file.read_text()
    for part in ("solard ", " cores", "what", "promised", "measured", "stop strings and biases", "6 x 200, 6 x 400"):
        assert part in done.stdout


def test_an_unknown_row_is_refused():
    done = run("--only", "dance")
    assert done.returncode == 2
    assert "newcomers_from_another_address" in done.stderr
