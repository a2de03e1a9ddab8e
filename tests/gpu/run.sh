#!/usr/bin/env bash
# run.sh OUTPUT [BUILD]: runs everything that needs a GPU. Both paths are relative to the repository. The output of
# each part goes to its own file in the folder OUTPUT, and OUTPUT/summary.txt has one line per part with its exit
# status. If a part cannot run, its line says why. Results are committed unchanged under tests/gpu/results/.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
output=${1:?usage: run.sh OUTPUT [BUILD]}
build=${2:-build/release}
mkdir -p "$output"
date -u +%Y-%m-%dT%H:%M:%SZ >"$output/machine.txt"
git describe --always --dirty >>"$output/machine.txt" 2>/dev/null
nvidia-smi >>"$output/machine.txt" 2>&1
nvidia-smi -q -d CLOCK,ECC,POWER >>"$output/machine.txt" 2>&1
: >"$output/summary.txt"

# part NAME COMMAND...: runs the command. Its output goes to NAME.txt, and its exit status to summary.txt.
part() {
    local name=$1 begin=$SECONDS
    shift
    { echo "\$ $*"; "$@"; } >"$output/$name.txt" 2>&1
    echo "$name: status $?, $((SECONDS - begin)) s" | tee -a "$output/summary.txt"
}

tests=$build/tests/test_cuda_gpu
# Tests that the real instructions do the same as the emulated ones. All other parts depend on this, so this part is
# first.
part wrappers "$tests" --run_test=wrappers
part kernels "$tests" --run_test=attention,attention_plan,elementwise,gemm,cublaslt,device_sampler,device_probe
part backend "$tests" --run_test=cuda_backend
# Runs the code for sm_89 on any card: the variable makes the driver compile the PTX of the program. This part runs our
# own kernels only, because the variable applies to the whole process and cuBLASLt has no PTX for these cards.
part sm_89_by_ptx env CUDA_FORCE_PTX_JIT=1 "$tests" --run_test=wrappers,attention,elementwise,device_sampler
if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck racecheck initcheck synccheck; do
        part "sanitizer_$tool" compute-sanitizer --tool "$tool" --error-exitcode 1 "$tests" \
            "--run_test=wrappers:elementwise:attention/drafts*:device_sampler/only_the_row*:cuda_backend/ten_texts_are*"
    done
else
    echo "sanitizer: compute-sanitizer is not installed" | tee -a "$output/summary.txt"
fi
part bench "$build/tests/solard-bench" all --shape solar-10.7b --batch 1,8,32,64 --length 128,512,2048 \
    --json "$output/bench.jsonl"
part bench_deterministic "$build/tests/solard-bench" decode --shape solar-10.7b --batch 1,8,32,64 --deterministic \
    --json "$output/bench.jsonl"
part bench_offline_500_2000 "$build/tests/solard-bench" offline --shape solar-10.7b --batch 128 --input 500 --output 2000 \
    --requests 128 --json "$output/bench.jsonl"
if python3 -c 'import torch, transformers, safetensors, sentencepiece
assert tuple(map(int, transformers.__version__.split(".")[:2])) >= (4, 56)' 2>/dev/null; then
    random=$(mktemp -d)
    part make_random_solar python3 tests/gpu/make_random_solar.py "$random"
    part parity python3 tests/gpu/parity.py "$build/tests/teacher_forced" "$random" --tokens 10240
    rm -r "$random"
    part parity_demo python3 tests/gpu/parity.py "$build/tests/teacher_forced" config/demo-model --tokens 4000 --text README.md
else
    echo "parity: python3 has no torch, transformers >= 4.56, safetensors or sentencepiece" | tee -a "$output/summary.txt"
fi
# Tests the server on the card with real clients.
if build/venv/bin/python -c 'import pytest' 2>/dev/null; then
    part clients env SOLARD_TEST_DEVICE=cuda ctest --test-dir "$build" -L clients --output-on-failure
else
    echo "clients: build/venv is missing; ./test.sh makes it" | tee -a "$output/summary.txt"
fi
! grep -v "status 0," "$output/summary.txt"
