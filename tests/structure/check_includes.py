"""Holds the direction of includes and who may instantiate Beast.

usage: check_includes.py ROOT
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
SUFFIXES = {".hpp", ".cpp", ".cu", ".cuh"}

# Folder -> folders of ours that its files may include from.
ALLOWED = {
    "inference": {"inference"},
    "server/api": {"server/api", "inference"},
    "server": {"server", "server/api", "inference"},
    "web": {"server"},
}
# Of server/, what the sans-I/O layer may use: plain structs without a socket behind them.
PLAIN_HEADERS = {"server/generation/served_model.hpp", "server/config/app_config.hpp"}
CONTRACTS = {"backend", "sizes", "tensors", "safetensors", "config", "sampling_params", "error", "philox", "exp_approx"}
# Who may include what of Boost.
BEAST = re.compile(r"#include <boost/beast")
ASIO = re.compile(r"#include <boost/asio")
BEAST_FILES = {"server/http/head.hpp", "server/http/head.cpp", "server/http_session.cpp", "server/ws/socket.cpp", "server/asio.cpp"}


def folder_of(path):
    parts = path.split("/")
    return "server/api" if parts[:2] == ["server", "api"] else parts[0]


def problems_of(name, text):
    folder = folder_of(name)
    for included in re.findall(r'#include "([^"]+)"', text):
        target = folder_of(included)
        if name == "server/main.cpp" or target == folder:
            continue
        if folder == "cuda":
            if target != "inference" or pathlib.PurePath(included).stem not in CONTRACTS:
                yield f"{name}: cuda/ may include the contracts of inference/ only, not {included}"
        elif folder == "server/api" and target == "server":
            if included not in PLAIN_HEADERS:
                yield f"{name}: server/api/ must not reach a socket, but includes {included}"
        elif target not in ALLOWED[folder]:
            yield f"{name}: {folder}/ must not include {included}"
        elif target == "inference" and included.startswith("inference/cpu/"):
            yield f"{name}: only main.cpp knows a backend, not {included}"
    if BEAST.search(text) and name not in BEAST_FILES:
        yield f"{name}: Beast is included by {sorted(BEAST_FILES)} only"
    if ASIO.search(text) and folder in ("inference", "server/api", "cuda"):
        yield f"{name}: {folder}/ must not include Asio"


def main():
    files = [p for top in ("inference", "server", "cuda", "web") for p in sorted((ROOT / top).rglob("*"))]
    sources = [p for p in files if p.suffix in SUFFIXES]
    assert len(sources) > 40, "no sources found: wrong ROOT?"
    problems = [problem for p in sources for problem in problems_of(str(p.relative_to(ROOT)), p.read_text())]
    print("\n".join(problems) or f"{len(sources)} files keep the direction of includes")
    sys.exit(bool(problems))


main()
