"""The interpreter of chat templates against Jinja2, in the way in which transformers uses it."""

import datetime
import json
import pathlib
import subprocess
import sys

import pytest

from support import BINARY, client_library

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from template_maker import Maker  # noqa: E402

jinja2 = client_library("jinja2")
sandbox = client_library("jinja2.sandbox")
nodes = client_library("jinja2.nodes")
ext = client_library("jinja2.ext")
RENDER = BINARY.parent / "tests/render_templates"
NOW = 1790000000  # as in support/render_templates.cpp


class Generation(ext.Extension):
    """The tag `generation` of transformers, which renders its body like the body of a macro."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("text_of", []), [], [], body).set_lineno(line)

    def text_of(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    made = sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = lambda form: datetime.datetime.fromtimestamp(NOW).strftime(form)
    return made


def expected(env, template, variables):
    """Returns Jinja's text, or the error as an exception."""
    try:
        return env.from_string(template).render(**variables)
    except Exception as error:  # any exception of the template's own Python code
        return error


def ours(cases):
    """Renders all cases in one process, and returns an object for each."""
    lines = "".join(json.dumps({"template": t, "variables": v}) + "\n" for t, v in cases)
    done = subprocess.run([RENDER], input=lines.encode(), stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]


def difference(template, variables, reference, answer):
    """Returns a description of the difference, or None if both have the same text or both refuse."""
    if isinstance(reference, Exception):
        same = "error" in answer
    else:
        same = answer.get("text") == reference
    return None if same else f"{template!r}\n  with {variables}\n  Jinja2: {reference!r}\n  solard: {answer}"


def test_generated_templates_have_the_text_of_jinja():
    env = environment()
    cases, references = [], []
    for seed in range(2000):
        maker = Maker(seed)
        cases.append((maker.template(), maker.conversation()))
        references.append(expected(env, *cases[-1]))
    answers = ours(cases)
    assert len(answers) == len(cases)
    problems = [difference(*case, reference, answer) for case, reference, answer in zip(cases, references, answers)]
    problems = [problem for problem in problems if problem]
    num_rendered = sum(not isinstance(reference, Exception) for reference in references)
    print(f"{num_rendered} of {len(cases)} templates have a text, the others are refused by both")
    assert not problems, f"{len(problems)} differences:\n" + "\n".join(problems[:20])
    assert num_rendered > 800
