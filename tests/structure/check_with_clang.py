"""Runs a clang tool over our own sources, two at a time, as a second opinion besides g++.

usage: check_with_clang.py format|syntax|tidy ROOT BUILD
Exit status: 0 clean, 1 findings, 77 if the tool is not installed (1 instead of 77 if CI=true).
"""

import concurrent.futures
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

MODE, ROOT, BUILD = sys.argv[1], pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[3]).resolve()
TOOL = {"format": "clang-format-19", "syntax": "clang++-19", "tidy": "clang-tidy-19"}[MODE]
FOLDERS = ("server", "inference", "cuda", "web", "tests")


def format_commands():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".cpp", ".hpp", ".cu", ".cuh"} and "node_modules" not in path.parts:
                yield path, [TOOL, "--dry-run", "--Werror", str(path)]


def compile_commands(suffix=".cpp"):
    """Yields each file that the build compiles by g++ once, with its command. Generated files are left out."""
    seen = set()
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        command = shlex.split(entry["command"])
        if path.suffix != suffix or path in seen or not path.is_relative_to(ROOT) or path.is_relative_to(ROOT / "build"):
            continue
        if pathlib.Path(command[0]).name == "nvcc":
            continue
        seen.add(path)
        yield path, command


def flags_of(command):
    """Returns the flags that another compiler needs to read the same file."""
    flags = [flag for flag in command[1:] if flag.startswith(("-I", "-D", "-std", "-m"))]
    for flag, value in zip(command, command[1:]):
        flags += [flag, value] if flag in {"-isystem", "-include", "-x"} else []
    return flags


def syntax_commands():
    quiet = ["-Wno-deprecated-declarations"]  # libstdc++ 12 itself uses functions that it deprecates
    for path, command in compile_commands():
        yield path, [TOOL, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", *quiet, *flags_of(command), str(path)]


def tidy_commands():
    names_only = "--checks=-*,readability-identifier-naming"
    for path, _ in compile_commands():
        command = [TOOL, "--quiet", "-p", str(BUILD)]
        # In tests, only the names of identifiers are checked (tests/.clang-tidy).
        if path.is_relative_to(ROOT / "tests"):
            command += [names_only, "--extra-arg=-w"]
        yield path, [*command, str(path)]
    # In kernels and their headers, only the names of identifiers are checked: the other checks do not suit CUDA code.
    for path, command in compile_commands(".cu"):
        if not path.is_relative_to(ROOT / "tests"):
            yield path, [TOOL, "--quiet", names_only, str(path), "--",
                         *flags_of(command), "-Wno-unknown-pragmas"]


def run(job):
    path, command = job
    done = subprocess.run(command, capture_output=True, text=True, cwd=BUILD)
    return path, done.returncode, done.stdout + done.stderr


def main():
    if not shutil.which(TOOL):
        print(f"{TOOL} is not installed")
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    jobs = list({"format": format_commands, "syntax": syntax_commands, "tidy": tidy_commands}[MODE]())
    assert len(jobs) > 40, "found almost no sources: are ROOT and BUILD right?"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        failed = [(path, output) for path, code, output in pool.map(run, jobs) if code != 0]
    for path, output in failed:
        print(f"--- {path.relative_to(ROOT)}\n{output}")
    print(f"{TOOL}: {len(jobs) - len(failed)} of {len(jobs)} clean")
    sys.exit(bool(failed))


main()
