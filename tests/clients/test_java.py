"""Runs JavaClient.java: the HTTP client of the JDK, which asks for an upgrade to HTTP/2, with the real server."""

import pathlib
import shutil
import subprocess

from support import DEADLINE, require

EXPECTED = """\
models 200
whole 200 HTTP_1_1 The capital of France is Paris.
stream The capital of France is Paris.
error 400 temperature must be a number from 0 to 2, but is 3.
"""


def test_java(server):
    require(shutil.which("java") and shutil.which("javac"), "a JDK")
    program = pathlib.Path(__file__).parent / "JavaClient.java"
    command = ["java", str(program), server.base_url, server.model]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert (done.stdout, done.returncode) == (EXPECTED, 0), done.stderr
