#!/usr/bin/env bash
# run_variant.sh SOURCE BUILD VARIANT TARGET...: builds test executables with the settings of config/build/VARIANT.cmake and
# runs them.
set -euo pipefail
source=$1 build=$2 variant=$3
shift 3
cmake -S "$source" -B "$build" -G Ninja -C "$source/config/build/$variant.cmake" >"$build.log" 2>&1 || { cat "$build.log"; exit 1; }
ninja -C "$build" "$@"
for target in "$@"; do
    "$build/tests/$target"
done
