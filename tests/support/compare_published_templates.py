"""Compares the interpreter with Jinja2 on published chat templates.

usage: compare_published_templates.py RENDER_TEMPLATES FOLDER

The templates are those in the source distribution of llama-cpp-python, which pip downloads into FOLDER. They are not part
of this repository. A template that needs something unsupported must be refused by name; everything else must have Jinja2's
text, or be refused by both. There is one exception: Jinja2 replaces < by &lt; in a text that is joined to a text marked as
safe, which no model has learnt.
"""

import html
import pathlib
import subprocess
import sys
import tarfile

from jinja_reference import difference, environment, expected, ours

PACKAGE = "llama-cpp-python==0.3.36"
JOINS_SAFE_TEXTS = {"meetkai-functionary-medium-v3.1.jinja"}
CALL = {"id": "call00001", "type": "function", "function": {"name": "weather", "arguments": {"city": "서울", "days": 2}}}
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Says the <weather>.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]},
    },
}
USER = {"role": "user", "content": " What is <|im_end|> é?\n"}
ANSWER = {"role": "assistant", "content": "It is\n\na token. "}
SYSTEM = {"role": "system", "content": "Be brief."}
CONVERSATIONS = [
    [USER],
    [SYSTEM, USER],
    [USER, ANSWER, USER],
    [SYSTEM, USER, ANSWER, USER, ANSWER],
    [USER, SYSTEM],
    [USER, USER],
    [ANSWER],
    [],
    [USER, {"role": "assistant", "content": "<think>\nhm\n</think>\n\nYes."}, USER],
    [USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}, {"role": "tool", "name": "weather", "tool_call_id": "call00001", "content": "rain"}],
    [USER, {"role": "assistant", "content": None, "tool_calls": [CALL, CALL]}, {"role": "tool", "content": "{\"a\": 1}"}, ANSWER, USER],
    [{"role": "user", "content": [{"type": "text", "text": "part"}]}],
]


def variants():
    """Yields the variables of each case."""
    for messages in CONVERSATIONS:
        for tools in (None, [TOOL, TOOL]):
            for asks in (True, False):
                tokens = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
                yield {"messages": messages, "tools": tools, "documents": None, "add_generation_prompt": asks, **tokens}


def templates(folder):
    """Downloads the source distribution unless it is there, and yields the name and text of each template."""
    folder.mkdir(parents=True, exist_ok=True)
    if not list(folder.glob("*.tar.gz")):
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--dest", str(folder), PACKAGE]
        subprocess.run(pip, check=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        for member in archive:
            if member.name.endswith(".jinja"):
                yield pathlib.PurePath(member.name).name, archive.extractfile(member).read().decode()


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    env = environment()
    num_failed = num_templates = num_rendered = 0
    for name, template in sorted(templates(folder)):
        num_templates += 1
        cases = [(template, variables) for variables in variants()]
        references = [expected(env, *case) for case in cases]
        if name in JOINS_SAFE_TEXTS:
            references = [html.unescape(text) if isinstance(text, str) else text for text in references]
        problems = []
        for case, reference, answer in zip(cases, references, ours(program, cases)):
            num_rendered += not isinstance(reference, Exception)
            if difference(*case, reference, answer):
                problems.append(f"Jinja2: {str(reference)[-300:]!r}\n    solard: {str(answer.get('error', answer.get('text')))[-300:]!r}")
        unsupported = [problem for problem in problems if "is not supported" in problem]
        num_failed += bool(problems) and len(unsupported) < len(problems)
        state = "equal" if not problems else "unsupported" if len(unsupported) == len(problems) else "DIFFERENT"
        print(f"{state}: {name} ({len(problems)} of {len(cases)} cases)")
        for problem in problems[:1]:
            print("    " + problem)
    print(f"{num_templates} templates, {num_rendered} texts, {num_failed} templates differ")
    sys.exit(num_failed > 0 or num_templates < 30)


main()
