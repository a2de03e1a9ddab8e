#!/usr/bin/env bash
# Installs what is missing, builds, and serves: ./run.sh [options of solard]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
. config/build/prepare.sh

prepare_packages program-options
[ -x build/release/solard ] || echo "solard: building; the first time takes a few minutes"
[ -f build/release/build.ninja ] || configure build/release -DSOLARD_TESTS=OFF
step "building" "The lines above show the error." ninja -C build/release solard
exec build/release/solard "$@"
