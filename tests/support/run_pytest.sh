#!/usr/bin/env bash
# run_pytest.sh FILE [VENV]: runs a file of tests with the Python of build/VENV (default: venv). If no test clients are
# installed there, the exit status is 77 (skipped) or, with CI=true, 1 (failed).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
venv=build/${2:-venv}
if ! "$venv/bin/python" -c 'import pytest' 2>/dev/null; then
    echo "$venv has no test clients; ./test.sh (build/venv-long: ./test.sh --long) installs them, and needs a network"
    [ "${CI:-}" != true ] || exit 1
    exit 77
fi
exec "$venv/bin/python" -m pytest -q -rs -p no:cacheprovider "$1"
