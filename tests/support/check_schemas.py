"""Checks that answers satisfy their JSON Schemas, as an independent validator sees it.

usage: check_schemas.py FOLLOW_SCHEMAS [FOLDER]

Without FOLDER, the schemas are made at random. With it, they are those of the JSON Schema Test Suite, which is part of the
source distribution of jsonschema, which pip downloads into FOLDER. Each schema is refused by name or served; an answer to
one that is served is valid, and an invalid value of the suite is no possible answer.
"""

import collections
import json
import pathlib
import subprocess
import sys
import tarfile

import jsonschema
from jsonschema.validators import validator_for
from schema_maker import SchemaMaker

PACKAGE = "jsonschema==4.26.0"
DRAFTS = ("draft7", "draft2020-12")
NUM_MADE = 500
# At least so many of the schemas that are made with each of these keywords must be served, and so many answers be checked.
KEYWORDS = ("pattern", "minLength", "maxLength", "format", "minimum", "exclusiveMaximum", "multipleOf", "enum", "const", "items",
            "prefixItems", "minItems", "properties", "required", "additionalProperties", "anyOf", "oneOf", "$ref")  # fmt: skip
MIN_SERVED = 3
MIN_ANSWERS = 3000


def made_schemas():
    """Yields (name, schema, texts with their validity, a keyword that must be refused, or none)."""
    maker = SchemaMaker(seed=20261130)
    for i in range(NUM_MADE):
        schema, refused = maker.make()
        yield f"made {i}", schema, [], refused


def suite(folder):
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("*.tar.gz")):
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--dest", str(folder), PACKAGE]
        subprocess.run(pip, check=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        for member in archive:
            path = pathlib.PurePath(member.name)
            if path.suffix != ".json" or path.parent.name not in DRAFTS or path.parts[1:3] != ("json", "tests"):
                continue
            for group in json.load(archive.extractfile(member)):
                texts = [(json.dumps(test["data"], ensure_ascii=False), test["valid"]) for test in group["tests"]]
                yield f"{path.parent.name} {path.stem}: {group['description']}", group["schema"], texts, None


def strict_json(text):
    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def problems_of(schema, found, texts, refused):
    """Yields what is wrong with the result of a schema."""
    if "dead_end" in found:
        yield "the answer came to a dead end"
    elif "refused" in found:
        return
    elif refused:
        yield f"served in spite of {refused}"
    else:
        validator = validator_for(schema, jsonschema.Draft202012Validator)(schema)
        for answer in found["answers"]:
            try:
                error = jsonschema.exceptions.best_match(validator.iter_errors(strict_json(answer)))
            except ValueError as problem:
                error = problem
            if error is not None:
                yield f"{answer!r} is wrong: {str(error).splitlines()[0]}"
        for (text, is_valid), is_allowed in zip(texts, found["allowed"], strict=True):
            if is_allowed and not is_valid:
                yield f"{text} is allowed"


def main():
    program = sys.argv[1]
    cases = list(suite(pathlib.Path(sys.argv[2])) if len(sys.argv) > 2 else made_schemas())
    orders = [{"schema": schema, "texts": [text for text, _ in texts]} for _, schema, texts, _ in cases]
    lines = "".join(json.dumps(order) + "\n" for order in orders)
    # As in the server's answers, U+FFFD takes the place of bytes that are not UTF-8.
    process = subprocess.run([program], input=lines, stdout=subprocess.PIPE, encoding="utf-8", errors="replace", check=False)
    results = [json.loads(line) for line in process.stdout.split("\n") if line]
    counts = collections.Counter()
    num_failed = 0
    for (name, schema, texts, refused), found in zip(cases, results, strict=False):
        counts["refused" if "refused" in found else "served"] += 1
        counts["answers"] += len(found.get("answers", []))
        counts["valid texts"] += sum(is_valid for _, is_valid in texts) if "allowed" in found else 0
        counts["valid texts that are allowed"] += sum(found.get("allowed", []))
        for problem in problems_of(schema, found, texts, refused):
            num_failed += 1
            print(f"{name}: {json.dumps(schema, ensure_ascii=False)[:400]}\n    {problem[:300]}")
    for keyword in KEYWORDS if len(sys.argv) <= 2 else ():
        served = sum(f'"{keyword}"' in json.dumps(case[1]) and "answers" in found for case, found in zip(cases, results, strict=False))
        if served < MIN_SERVED:
            num_failed += 1
            print(f"only {served} schemas with {keyword} are served")
    if counts["answers"] < MIN_ANSWERS:
        num_failed += 1
        print("there are too few answers")
    if len(results) < len(orders):
        num_failed += 1
        print(f"the program died with status {process.returncode} at {json.dumps(orders[len(results)])[:1000]}")
    print(", ".join(f"{count} {name}" for name, count in counts.items()) + f", {num_failed} problems")
    sys.exit(num_failed > 0)


if __name__ == "__main__":
    main()
