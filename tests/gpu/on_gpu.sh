#!/usr/bin/env bash
# on_gpu.sh COMMAND...: runs the command if a GPU can be used. Otherwise ends with status 77, which means skipped.
set -euo pipefail
if ! nvidia-smi -L >/dev/null 2>&1; then
    echo "skipped: this machine has no usable GPU"
    exit 77
fi
exec "$@"
