"""Executes the examples of README.md with the real server.

A fenced block is run if the line before it is `<!-- test: NAME -->`, and must print the block after
`<!-- output: NAME -->`. The address in the README is replaced by the server's address.
"""

import re
import subprocess
import sys

import pytest

from support import DEADLINE, ROOT, client_library, install_packages

README_ADDRESS = "http://127.0.0.1:8000"
CLIENTS = ROOT / "tests/clients"
BLOCK = re.compile(r"^<!-- (test|output): (\S+) -->\n```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind):
    text = (ROOT / "README.md").read_text()
    return {name: (language, body) for what, name, language, body in BLOCK.findall(text) if what == kind}


def command(language, code):
    if language in ("bash", "sh"):
        return ["bash", "-euo", "pipefail", "-c", code]
    if language == "python":
        client_library("openai")
        return [sys.executable, "-c", code]
    if language in ("javascript", "js"):
        # Node looks for packages only beside the script.
        script = install_packages(CLIENTS) / "readme_example.mjs"
        script.write_text(code)
        return ["node", str(script)]
    raise AssertionError(f"README.md: this test cannot run a block of language '{language}'")


def test_readme_has_examples_and_their_outputs():
    tests, outputs = blocks("test"), blocks("output")
    assert {language for language, _ in tests.values()} >= {"bash", "python", "javascript"}
    assert set(tests) == set(outputs), "each <!-- test: NAME --> needs an <!-- output: NAME -->"


@pytest.mark.parametrize("name", sorted(blocks("test")))
def test_example_prints_its_output(server, name, tmp_path):
    language, code = blocks("test")[name]
    _, expected = blocks("output")[name]
    assert README_ADDRESS in code, f"the example must contain {README_ADDRESS}"
    run = command(language, code.replace(README_ADDRESS, server.root_url))
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == expected.strip()
