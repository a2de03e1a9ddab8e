"""Renders chat templates with Jinja2, in the way in which transformers uses it, and with solard's interpreter."""

import datetime
import json
import subprocess

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

NOW = 1790000000  # as in support/render_templates.cpp


class Generation(jinja2.ext.Extension):
    """The tag `generation` of transformers, which renders its body like the body of a macro."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("text_of", []), [], [], body).set_lineno(line)

    def text_of(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
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


def ours(program, cases):
    """Renders all cases with one process of render_templates, and returns an object for each."""
    lines = "".join(json.dumps({"template": t, "variables": v}) + "\n" for t, v in cases)
    done = subprocess.run([program], input=lines.encode(), stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]


def difference(template, variables, reference, answer):
    """Returns a description of the difference, or None if both have the same text or both refuse."""
    if isinstance(reference, Exception):
        same = "error" in answer
    else:
        same = answer.get("text") == reference
    return None if same else f"{template!r}\n  with {variables}\n  Jinja2: {reference!r}\n  solard: {answer}"
