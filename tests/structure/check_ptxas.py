"""Compiles every kernel for two architectures and compares the report of ptxas with tests/cuda/unit/ptxas_limits.json.

usage: check_ptxas.py ROOT NVCC [--write]

A kernel that spills registers is slower. If a kernel uses more registers, fewer of its blocks may fit on a
multiprocessor. This test finds both on a machine without a GPU. --write replaces the table by the reported numbers;
review the difference before you commit it.
Exit status: 0 within the limits, 1 findings, 77 without nvcc.
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(sys.argv[1])
NVCC = sys.argv[2]
TABLE = ROOT / "tests/cuda/unit/ptxas_limits.json"
ARCHITECTURES = (89, 90)
NO_SPILLS = re.compile("attention|norm")

REPORT = re.compile(
    r"Compiling entry function '(?P<name>\w+)' for 'sm_(?P<arch>\d+)'.*?"
    r"(?P<stack>\d+) bytes stack frame, (?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads.*?"
    r"Used (?P<registers>\d+) registers(?P<rest>[^\n]*)",
    re.DOTALL,
)


TYPES = {"6__half": "fp16", "13__nv_bfloat16": "bf16", "f": "fp32"}


def short_name(file, mangled):
    """Returns the file, the kernel and its template arguments from a mangled name, such as norm/add_rms_norm_kernel<bf16>."""
    for match in re.finditer(r"\d{1,2}(?=[a-z])", mangled):
        kernel = mangled[match.end():match.end() + int(match[0])]
        # The unnamed namespace before the kernel is mangled with a hash, whose digits may look like a length.
        if re.fullmatch(r"[a-z_]+_kernel", kernel):
            break
    else:
        raise ValueError(mangled)
    rest = mangled[match.end() + len(kernel):]
    arguments = []
    if rest.startswith("I"):
        rest = rest[1:]
        while not rest.startswith("E"):
            token = re.match(r"6__half|13__nv_bfloat16|f|S\d*_|Li\d+E", rest)[0]
            # A substitution (S_, S0_ ...) repeats a type that was named before.
            arguments.append(TYPES.get(token) or (arguments[-1] if token.startswith("S") else token.strip("LiE")))
            rest = rest[len(token):]
    return f"{file.stem}/{kernel}" + (f"<{', '.join(arguments)}>" if arguments else "")


def compile_file(file):
    command = [NVCC, "-std=c++20", "--expt-relaxed-constexpr", f"-I{ROOT}", "-Xptxas", "-v", "-c", str(file), "-o", "/dev/null"]
    command += [f"-gencode=arch=compute_{a},code=sm_{a}" for a in ARCHITECTURES]
    if file.stem in ("sampling", "scoring"):
        command.append("-fmad=false")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {}
    for match in REPORT.finditer(done.stderr):
        shared = re.search(r"(\d+) bytes smem", match["rest"])
        found[f"{short_name(file, match['name'])} sm_{match['arch']}"] = {
            "registers": int(match["registers"]),
            "spills": int(match["stores"]) + int(match["loads"]),
            "static_shared": int(shared[1]) if shared else 0,
        }
    assert found, f"{file}: ptxas reported nothing"
    return found


def main():
    if not shutil.which(NVCC):
        print(f"{NVCC}: no such compiler")
        sys.exit(77)
    files = sorted((ROOT / "cuda").glob("*.cu"))
    assert len(files) >= 8, "found almost no kernels: is ROOT right?"
    with ThreadPoolExecutor(2) as pool:
        found = {name: use for part in pool.map(compile_file, files) for name, use in part.items()}
    if "--write" in sys.argv:
        lines = [f"{json.dumps(name)}: {json.dumps(found[name])}" for name in sorted(found)]
        TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        return
    limits = json.loads(TABLE.read_text())
    problems = [f"{name}: not in {TABLE.name}; run with --write" for name in found.keys() - limits.keys()]
    problems += [f"{name}: in {TABLE.name}, but there is no such kernel; run with --write" for name in limits.keys() - found.keys()]
    for name in sorted(found.keys() & limits.keys()):
        use, limit = found[name], limits[name]
        problems += [f"{name}: {use[key]} {key}, expected at most {limit[key]}" for key in use if use[key] > limit[key]]
        if NO_SPILLS.search(name) and use["spills"] > 0:
            problems.append(f"{name}: spills registers, which attention and norm must not")
    widest = max(found, key=lambda name: found[name]["registers"])
    print("\n".join(problems) or f"{len(found)} kernels within their limits; {widest} has the most registers, "
          f"{found[widest]['registers']}")
    sys.exit(bool(problems))


main()
