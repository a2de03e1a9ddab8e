#!/usr/bin/env bash
# Installs missing packages, builds solard and runs it: ./run.sh [--no-cuda] [options of solard]
# If an NVIDIA driver is loaded, this script also installs the CUDA toolkit; --no-cuda prevents that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. config/build/prepare.sh

cuda=AUTO
if [ "${1:-}" = --no-cuda ]; then
    shift
    cuda=OFF
fi
prepare_packages program-options
if [ $cuda = AUTO ] && [ -e /proc/driver/nvidia/version ]; then
    prepare_cuda || {
        echo "solard: the CUDA toolkit could not be installed; check the network, or build without CUDA: ./run.sh --no-cuda" >&2
        exit 1
    }
fi
prepare_xgrammar || echo "solard: XGrammar could not be downloaded; check the network. Requests with a schema will be refused." >&2
[ -x build/release/solard ] || echo "solard: building the program, which takes a few minutes the first time"
# The build itself notices changes in CMakeLists.txt. It does not notice that --no-cuda was added or removed, or that a
# toolkit or XGrammar was installed since the last run.
if [ ! -f build/release/build.ninja ]; then
    configure build/release -DSOLARD_TESTS=OFF -DSOLARD_CUDA=$cuda
elif [ "$(cached build/release SOLARD_CUDA)" != $cuda ] || [ build/xgrammar -nt build/release/build.ninja ] || { [ $cuda = AUTO ] && [ -e /proc/driver/nvidia/version ]; }; then
    configure build/release -DSOLARD_CUDA=$cuda
fi
step "building" "The lines above show the error." ninja -C build/release solard
exec build/release/solard "$@"
