"""Checks that cuda/ptx.cuh and the emulator's file of the same name define the same functions. Needs no nvcc.

usage: check_ptx.py ROOT
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
FILES = [ROOT / "cuda/ptx.cuh", ROOT / "tests/cuda/emulator/include/cuda/ptx.cuh"]


def functions_of(path):
    """Returns the names of the functions that kernels may call. The file defines them or takes them over by `using`."""
    text = re.sub(r"//[^\n]*", "", path.read_text())
    defined = re.findall(r"^(?:__device__ )?(?:inline )?[\w:]+\*? (\w+)\([^;{]*\) \{", text, re.MULTILINE)
    taken_over = re.findall(r"^using cuda_emulator::([a-z]\w*);", text, re.MULTILINE)
    return set(defined + taken_over) - {"shared_address"}  # a helper function of the product's file


def main():
    product, emulator = map(functions_of, FILES)
    assert len(product) >= 10, f"found almost no functions in {FILES[0]}"
    problems = [f"{FILES[0]} has {name}(), which the emulator lacks" for name in sorted(product - emulator)]
    problems += [f"{FILES[1]} has {name}(), which the product lacks" for name in sorted(emulator - product)]
    print("\n".join(problems) or f"{len(product)} functions stand in both ptx.cuh")
    sys.exit(bool(problems))


main()
