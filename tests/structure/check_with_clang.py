"""Runs a clang tool on our own sources, two at a time, as a second opinion beside g++.

usage: check_with_clang.py format|syntax|tidy ROOT BUILD
Exit status: 0 if clean, 1 if there are findings, 77 if the tool is not installed (with CI=true this is 1).
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


def compile_commands():
    """Yields the files which the build compiles, each once, without generated files and without kernels (nvcc's)."""
    seen = set()
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"])
        if path.suffix != ".cpp" or path in seen or not path.is_relative_to(ROOT) or path.is_relative_to(ROOT / "build"):
            continue
        seen.add(path)
        yield path, shlex.split(entry["command"])


def syntax_commands():
    quiet = ["-Wno-deprecated-declarations"]  # libstdc++ 12 uses its own deprecated declarations
    for path, command in compile_commands():
        flags = [flag for flag in command[1:] if flag.startswith(("-I", "-D", "-std", "-m"))]
        for flag, folder in zip(command, command[1:]):
            flags += ["-isystem", folder] if flag == "-isystem" else []
        yield path, [TOOL, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", *quiet, *flags, str(path)]


def tidy_commands():
    for path, _ in compile_commands():
        if not path.is_relative_to(ROOT / "tests"):
            yield path, [TOOL, "--quiet", "-p", str(BUILD), str(path)]


def run(job):
    path, command = job
    done = subprocess.run(command, capture_output=True, text=True, cwd=BUILD)
    return path, done.returncode, done.stdout + done.stderr


def main():
    if not shutil.which(TOOL):
        print(f"{TOOL} is not installed")
        sys.exit(1 if os.environ.get("CI") == "true" else 77)
    jobs = list({"format": format_commands, "syntax": syntax_commands, "tidy": tidy_commands}[MODE]())
    assert len(jobs) > 40, "no sources found: wrong ROOT or BUILD?"
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        failed = [(path, output) for path, code, output in pool.map(run, jobs) if code != 0]
    for path, output in failed:
        print(f"--- {path.relative_to(ROOT)}\n{output}")
    print(f"{TOOL}: {len(jobs) - len(failed)} of {len(jobs)} clean")
    sys.exit(bool(failed))


main()
