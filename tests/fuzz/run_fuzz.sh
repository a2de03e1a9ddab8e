#!/usr/bin/env bash
# run_fuzz.sh SOURCE BUILD tokenizer|template: builds a fuzz target and runs it for 30 seconds, on inputs that change
# the files of the tests. An input that fails is kept in BUILD. Exits with 77 if clang-19 or its libFuzzer is missing.
set -euo pipefail
source=$1 build=$2 target=$3
probe=$(mktemp -d)
trap 'rm -rf "$probe"' EXIT
echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' >"$probe/probe.cpp"
if ! clang++-19 -fsanitize=fuzzer -o "$probe/probe" "$probe/probe.cpp"; then
    echo "skipped: clang++-19 cannot link libFuzzer; install clang-19 and libclang-rt-19-dev" >&2
    [ "${CI:-}" != true ] || exit 1
    exit 77
fi
cmake -S "$source" -B "$build" -G Ninja -C "$source/config/build/fuzz.cmake" >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
ninja -C "$build" "fuzz_$target"
seeds=$build/seeds-$target
rm -rf "$seeds"
mkdir -p "$seeds"
case $target in
    tokenizer)
        for folder in "$source"/tests/tokenizers/data/*/; do
            [ -f "$folder/tokenizer.json" ] || continue
            { cat "$folder/tokenizer.json"; printf '\0 Hello  </s><|im_start|> w\xc3\xb6rld 123\n'; } >"$seeds/$(basename "$folder")"
        done
        ;;
    template)
        python3 - "$source/tests/support" "$seeds" <<'END'
import pathlib, sys
sys.path.insert(0, sys.argv[1])
from template_maker import Maker
for seed in range(200):
    pathlib.Path(sys.argv[2], str(seed)).write_text(Maker(seed).template())
END
        ;;
esac
"$build/tests/fuzz_$target" -seed=1 -max_total_time=30 -timeout=10 -rss_limit_mb=4096 -print_final_stats=1 \
    -dict="$source/tests/fuzz/$target.dict" -artifact_prefix="$build/" "$seeds"
