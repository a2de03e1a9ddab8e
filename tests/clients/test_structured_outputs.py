"""Answers with random schemas satisfy an independent validator."""

import json
import random

import pytest

from support import client_library

jsonschema = client_library("jsonschema")
requests = client_library("requests")

NUM_SCHEMAS = 150
WORDS = ["name", "size", "이름", "a b", "x-1", "é", "count"]
VALUES = ["small", "large", "한국", 'a "quoted" \\ word', "", 0, -7, 2.5, True, None, [1, "a"], {"k": []}]


def schema(chance, depth=0):
    """Returns a random schema of the part that is served."""
    kinds = ["enum", "const", "integer", "number", "boolean", "null", "string", "types", "any"]
    if depth < 3:
        kinds += ["object", "object", "array", "array", "tuple", "anyOf", "oneOf", "map"]
    inner = lambda: schema(chance, depth + 1)  # noqa: E731
    match chance.choice(kinds):
        case "enum":
            return {"enum": chance.sample(VALUES, chance.randint(1, 5))}
        case "const":
            return {"const": chance.choice(VALUES)}
        case "integer":
            low, high = sorted(chance.choices(range(-300, 300), k=2))
            return {"type": "integer"} | chance.choice([{}, {"minimum": low}, {"exclusiveMaximum": high}, {"minimum": low, "maximum": high}])
        case "types":
            return {"type": chance.sample(["integer", "boolean", "null"], 2)}
        case "any":
            return {"description": "any value"}
        case "object":
            names = chance.sample(WORDS, chance.randint(0, 4))
            required = [name for name in names if chance.random() < 0.6]
            return {"type": "object", "properties": {name: inner() for name in names}, "required": required, "additionalProperties": False}
        case "map":
            return {"type": "object", "additionalProperties": chance.choice([{"type": "integer"}, {"type": "boolean"}])}
        case "array":
            low = chance.randint(0, 3)
            return {"type": "array", "items": inner()} | chance.choice([{}, {"minItems": low}, {"minItems": low, "maxItems": low + 2}, {"maxItems": 2}])
        case "tuple":
            return {"type": "array", "prefixItems": [inner() for _ in range(chance.randint(1, 3))], "items": False}
        case "anyOf":
            return {"anyOf": [inner() for _ in range(chance.randint(1, 3))]}
        case "oneOf":
            return {"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "object"}][: chance.randint(1, 3)]}
        case kind:
            return {"type": kind}


def answer(server, schema, seed):
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 200, "seed": seed, "guided_json": schema}
    return requests.post(server.base_url + "/chat/completions", json=body, timeout=60)


@pytest.mark.parametrize("seed", [1, 2])
def test_answers_satisfy_random_schemas(server, seed):
    chance = random.Random(seed)
    num_whole = 0
    for number in range(NUM_SCHEMAS):
        wanted = schema(chance)
        reply = answer(server, wanted, number)
        assert reply.status_code == 200, (wanted, reply.text)
        choice = reply.json()["choices"][0]
        if choice["finish_reason"] == "stop":
            num_whole += 1
            jsonschema.validate(json.loads(choice["message"]["content"]), wanted, jsonschema.Draft202012Validator)
    assert num_whole > NUM_SCHEMAS / 2
