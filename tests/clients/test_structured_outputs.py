"""Answers that are held to a schema, an expression or a grammar."""

import json
import re
import sys
from typing import Annotated

import pytest

from support import ROOT, client_library

sys.path.append(str(ROOT / "tests/support"))

from schema_maker import SchemaMaker  # noqa: E402

jsonschema = client_library("jsonschema")
openai = client_library("openai")
pydantic = client_library("pydantic")
requests = client_library("requests")

NUM_SCHEMAS = 150
QUESTION = [{"role": "user", "content": "Hello"}]


def answer(server, **fields):
    body = {"messages": QUESTION, "max_tokens": 200} | fields
    return requests.post(server.base_url + "/chat/completions", json=body, timeout=60)


def text_of(reply):
    assert reply.status_code == 200, reply.text
    choice = reply.json()["choices"][0]
    assert choice["finish_reason"] == "stop", choice
    return choice["message"]["content"]


@pytest.mark.parametrize("seed", [1, 2])
def test_answers_satisfy_random_schemas(server, seed):
    maker = SchemaMaker(seed)
    num_whole = 0
    for number in range(NUM_SCHEMAS):
        schema, refused = maker.make()
        reply = answer(server, seed=number, guided_json=schema)
        if reply.status_code == 400:
            error = reply.json()["error"]
            assert error["param"] == "guided_json" and error["code"] == "invalid_value", error
            continue
        assert reply.status_code == 200 and refused is None, (schema, reply.text)
        choice = reply.json()["choices"][0]
        if choice["finish_reason"] == "stop":
            num_whole += 1
            jsonschema.validate(json.loads(choice["message"]["content"]), schema, jsonschema.Draft202012Validator)
    assert num_whole > NUM_SCHEMAS / 2


def test_constraints_of_pydantic(server):
    class Order(pydantic.BaseModel):
        code: Annotated[str, pydantic.Field(pattern=r"^[A-Z]{2}-\d{3}$")]
        note: Annotated[str, pydantic.Field(min_length=1, max_length=20)]
        share: Annotated[float, pydantic.Field(ge=0, le=1)]
        count: Annotated[int, pydantic.Field(gt=0, lt=10)] | None

    client = openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)
    for seed in range(5):
        request = {"model": server.model, "messages": QUESTION, "seed": seed, "temperature": 1.5, "max_tokens": 300}
        reply = client.chat.completions.parse(response_format=Order, **request)
        assert isinstance(reply.choices[0].message.parsed, Order)


EXPRESSION = r'[A-Z][a-z]{2,8}(, "[^"\n]{1,5}")?|\d{3}'


@pytest.mark.parametrize("fields", [{"guided_regex": EXPRESSION}, {"structured_outputs": {"regex": EXPRESSION}}], ids=["guided", "structured"])
def test_answer_matches_a_regular_expression(server, fields):
    for seed in range(5):
        assert re.fullmatch(EXPRESSION, text_of(answer(server, seed=seed, **fields)))


GBNF = 'root ::= item (", " item){1,2} # a list\nitem ::= "red" | "blue" | [0-9] item'
LARK = 'start: "+" /[a-z]{1,4}/ LF tail?\ntail: "-" /[0-9]{2}/\n%import common.LF'


@pytest.mark.parametrize(
    ("fields", "expression"),
    [
        ({"grammar": GBNF}, r"\d*(red|blue)(, \d*(red|blue)){1,2}"),
        ({"guided_grammar": GBNF}, r"\d*(red|blue)(, \d*(red|blue)){1,2}"),
        ({"structured_outputs": {"grammar": LARK}}, r"\+[a-z]{1,4}\n(-\d\d)?"),
    ],
    ids=["llama.cpp", "guided", "lark"],
)
def test_answer_follows_a_grammar(server, fields, expression):
    for seed in range(5):
        assert re.fullmatch(expression, text_of(answer(server, seed=seed, **fields)))


def test_text_of_a_custom_tool_matches_its_expression(server):
    client = openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)
    expression = r'^[a-z]{3}="[^"]{1,4}"$'
    tool = {"type": "custom", "name": "set", "format": {"type": "grammar", "syntax": "regex", "definition": expression}}
    request = {"model": server.model, "input": "Hello", "tools": [tool], "tool_choice": "required", "parallel_tool_calls": False}
    for seed in range(5):
        reply = client.responses.create(max_output_tokens=200, extra_body={"seed": seed}, **request)
        (call,) = reply.output
        assert call.type == "custom_tool_call" and re.fullmatch(expression, call.input)
