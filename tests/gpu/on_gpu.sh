#!/usr/bin/env bash
# on_gpu.sh COMMAND...: runs it where a GPU can be used, else ends with 77: skipped.
set -euo pipefail
if ! nvidia-smi -L >/dev/null 2>&1; then
    echo "no GPU here"
    exit 77
fi
exec "$@"
