#!/usr/bin/env bash
# Installs what is missing, builds, and serves: ./run.sh [options of solard]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. config/build/prepare.sh

prepare_packages program-options
quiet=(--quiet)
if [ ! -x build/release/solard ]; then
    echo "solard: building; the first time takes a few minutes"
    quiet=()
fi
[ -f build/release/build.ninja ] || configure build/release -DSOLARD_TESTS=OFF
step "building" "The lines above show the error." ninja "${quiet[@]}" -C build/release solard
exec build/release/solard "$@"
