#!/usr/bin/env bash
# check_remade.sh SOURCE: makes the tokenizers and the checkpoints of the families and the values that are expected
# of them anew, with both versions of transformers, and compares them with those that are stored. Exits with 77 if an environment is missing.
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
    "$python" "$source/tests/golden/make_families.py" "$work/families.json"
done
diff "$work/families.json" "$source/tests/golden/families.json"
diff -r "$work/data" "$source/tests/tokenizers/data"
