#!/usr/bin/env bash
# Installs what is missing, builds, and serves: ./run.sh [--no-cuda] [options of solard]
# Where an NVIDIA driver is loaded, the CUDA toolkit is installed too, unless --no-cuda says not to.
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
        echo "solard: the CUDA toolkit could not be installed; is there a network? ./run.sh --no-cuda goes on without" >&2
        exit 1
    }
fi
[ -x build/release/solard ] || echo "solard: building; the first time takes a few minutes"
# The build itself notices what changed in CMakeLists.txt, but no other --no-cuda than last time, and no toolkit that came since.
if [ ! -f build/release/build.ninja ]; then
    configure build/release -DSOLARD_TESTS=OFF -DSOLARD_CUDA=$cuda
elif [ "$(cached build/release SOLARD_CUDA)" != $cuda ] || { [ $cuda = AUTO ] && [ -e /proc/driver/nvidia/version ]; }; then
    configure build/release -DSOLARD_CUDA=$cuda
fi
step "building" "The lines above show the error." ninja -C build/release solard
exec build/release/solard "$@"
