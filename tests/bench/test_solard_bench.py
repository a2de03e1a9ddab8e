"""Tests that solard-bench prints its tables and JSON lines on every backend that runs here. No figure is checked."""

import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
BENCH = os.environ["SOLARD_BENCH"]
EMULATED = os.environ.get("SOLARD_BENCH_EMULATOR")


def run(binary, *options):
    return subprocess.run([binary, *options], capture_output=True, text=True, timeout=200)


def rows_of(binary, tmp_path, *options):
    file = tmp_path / "rows.json"
    done = run(binary, *options, "--json", str(file))
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows:
        assert row["row"] in done.stdout
        assert {"date", "commit", "load"} <= row.keys()
    return rows


SMALL = ["--batch", "1,3", "--length", "40,100", "--context", "30", "--rounds", "1", "--input", "20", "--output", "5",
         "--requests", "4", "--max-model-len", "256"]


@pytest.mark.parametrize("source", [["--model", str(ROOT / "config/demo-model")], ["--shape", "small"]])
def test_the_cpu_backend_is_driven(tmp_path, source):
    rows = rows_of(BENCH, tmp_path, "all", "--device", "cpu", *source, *SMALL)
    assert [row["row"] for row in rows] == ["batch 1", "batch 3", "prompt of 40", "prompt of 100", "all"]
    assert all(row["tok/s"] > 0 for row in rows[:4])


@pytest.mark.skipif(not EMULATED, reason="no CUDA headers")
def test_every_kernel_and_the_cuda_backend_are_driven(tmp_path):
    rows = rows_of(EMULATED, tmp_path, "all", "--shape", "small,layers=1", "--rows", "1,8", *SMALL)
    names = [row["row"] for row in rows]
    for name in ("qkv, 1 rows", "head, 8 rows", "embedding, 8 rows", "norm of rows, 1 rows", "add + norm, 8 rows", "RoPE + append, 1 rows", "SwiGLU, 8 rows", "block copies, 8",
                 "decode attention, 8 x 30", "prefill attention, 8", "sample, top-p 0.95, 8 rows", "score, 20 alternatives, 8 rows", "batch 3", "all"):
        assert name in names
    card = {"name", "driver_version", "ecc.mode.current", "clocks.sm", "clocks.max.mem"}
    assert all(card <= row.keys() for row in rows)
    assert all("share" in row for row in rows if row["table"].startswith("kernels"))


def test_what_is_asked_wrongly_is_named():
    for options, what in [
        (["dance"], "expected kernels, decode, prefill, offline or all"),
        (["decode"], "expected --model or --shape"),
        (["decode", "--shape", "llama"], "expected the shape"),
        (["decode", "--shape", "small,layers=0"], "at least one layer"),
        (["decode", "--shape", "small", "--device", "tpu"], "tpu is not in this build"),
    ]:
        done = run(BENCH, *options, *(["--device", "cpu"] if "--device" not in options else []))
        assert done.returncode == 1
        assert what in done.stderr
