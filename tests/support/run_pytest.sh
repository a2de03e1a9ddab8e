#!/usr/bin/env bash
# run_pytest.sh FILE: runs a file of tests with the Python of build/venv. If the test clients are not installed in
# build/venv, the exit status is 77 (skipped) or, with CI=true, 1 (failed).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if ! build/venv/bin/python -c 'import pytest' 2>/dev/null; then
    echo "build/venv has no test clients; ./test.sh installs them, and needs a network for that"
    [ "${CI:-}" != true ] || exit 1
    exit 77
fi
exec build/venv/bin/python -m pytest -q -rs -p no:cacheprovider "$1"
