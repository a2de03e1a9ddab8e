#!/usr/bin/env bash
# run_pytest.sh FILE: runs a file of client tests with the Python of build/venv. If test.sh could not install that
# environment, exits with 77, which ctest reports as skipped; with CI=true, exits with 1.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if ! build/venv/bin/python -c 'import pytest' 2>/dev/null; then
    echo "build/venv has no pytest: run test.sh with network access, so that pip can install it"
    [ "${CI:-}" != true ] || exit 1
    exit 77
fi
exec build/venv/bin/python -m pytest -q -rs -p no:cacheprovider "$1"
