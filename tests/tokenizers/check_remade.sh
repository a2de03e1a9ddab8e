#!/usr/bin/env bash
# check_remade.sh SOURCE: makes the tokenizers and the expected values anew, with both versions of transformers, and
# compares them with those of data/. Exits with 77 if an environment is missing.
set -euo pipefail
source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for version in 4 5; do
    python=$source/build/venv-transformers-$version/bin/python
    if [ ! -x "$python" ]; then
        echo "skipped: ./test.sh --long installs build/venv-transformers-$version" >&2
        [ "${CI:-}" != true ] || exit 1
        exit 77
    fi
    "$python" "$source/tests/tokenizers/make_tokenizers.py" "$work/data"
done
diff -r "$work/data" "$source/tests/tokenizers/data"
