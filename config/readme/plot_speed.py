"""Draws speed.svg, the plot in README.md, from the committed figures in tests/bench/results/cpu_peers.json.

usage: plot_speed.py    (writes speed.svg beside this file)
"""

import datetime
import json
import pathlib

from svg import GREY, INK, document, rect, text

OUTPUT = pathlib.Path(__file__).with_name("speed.svg")
RESULTS = pathlib.Path(__file__).resolve().parents[2] / "tests/bench/results/cpu_peers.json"

# Each row describes one bar: its name in the results, its label and its colour. For the engines, only the results in
# bf16 are drawn.
SERVERS = [
    ("solard", "solard", "#d9730d"),
    ("llama-server, own build", "llama-server b11434", "#6e7781"),
    ("vLLM CPU", "vLLM CPU 0.32", "#4c78a8"),
]
ENGINES = [
    ("solard", "solard, AVX2", "#d9730d"),
    ("llama.cpp, prebuilt, AVX2 only", "llama.cpp, AVX2", "#a8b1ba"),
    ("llama.cpp, own build", "llama.cpp, AVX-512", "#6e7781"),
    ("vLLM CPU", "vLLM CPU, AVX-512", "#4c78a8"),
]
SERVER_GROUPS = [("streams_1", "1 stream"), ("streams_8", "8 streams"), ("streams_32", "32 streams")]
ENGINE_GROUPS = [("prompt_512", "prompt of 512 tokens"), ("decode_1", "decode, 1 sequence"), ("decode_8", "decode, 8 sequences")]

BAR, GAP, LABELS, LONGEST = 16, 4, 138, 210


def panel(x, title, subtitle, groups, rows, figures):
    """Draws one column of groups. Within a group, the longest bar is the highest rate."""
    yield text(x, 30, title, 14, INK, weight="bold")
    yield text(x, 47, subtitle, 11, GREY)
    y = 72
    for key, heading in groups:
        yield text(x, y, heading, 12, INK, weight="bold")
        y += 8
        highest = max(figures[name][key] for name, _, _ in rows)
        for name, label, colour in rows:
            rate = figures[name][key]
            width = LONGEST * rate / highest
            yield text(x + LABELS - 8, y + 12, label, 11, INK if name == "solard" else GREY, "end")
            yield rect(x + LABELS, y, round(width, 1), BAR, colour)
            yield text(x + LABELS + round(width, 1) + 6, y + 12, f"{rate:,}", 11, INK, weight="bold" if name == "solard" else "normal")
            y += BAR + GAP
        y += 24
    yield y


def svg():
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    servers = {row["server"]: row["tokens_per_second"] for row in results["servers"]["results"]}
    engines = {row["engine"]: row["tokens_per_second"] for row in results["engines"]["results"] if row["precision"] == "bf16"}
    *left, left_end = panel(24, "Servers: output tokens/s", "demonstration model, 128 tokens per answer, median of 3 rounds",
                            SERVER_GROUPS, SERVERS, servers)
    *right, right_end = panel(474, "Engines: tokens/s in bf16", "SOLAR's shape, 1.35 billion weights, median of 5 rounds",
                              ENGINE_GROUPS, ENGINES, engines)
    machine = results["machine"]
    date = datetime.date.fromisoformat(results["date"] + "-01").strftime("%m/%Y")
    caption = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['instruction_sets']}; {date}, solard {results['solard']['commit']}. "
        "Each group has its own scale.",
        "solard's kernels use AVX2. Engines that use AVX-512 BF16 are faster on prompts and on eight sequences.",
        "The results of the rounds vary (decode of one sequence by solard: {} to {} tokens/s), so compare only ratios.".format(
            *next(row for row in results["engines"]["results"] if row["engine"] == "solard")["range"]["decode_1"]),
    ]
    bottom = max(left_end, right_end) - 2
    notes = [text(24, bottom + 17 * number, line, 11, GREY) for number, line in enumerate(caption)]
    return document(
        900, int(bottom + 17 * len(caption)), "solard beside llama.cpp and vLLM on one CPU",
        "Bars of tokens per second. Among the servers of a small model, solard is the fastest with 1, 8 and 32 streams. Among the "
        "engines in bf16, solard is the fastest at decoding one sequence. Engines that use AVX-512 are faster at reading a prompt and "
        "at decoding eight sequences.",
        left + right + notes)


if __name__ == "__main__":
    OUTPUT.write_text(svg(), encoding="utf-8")
