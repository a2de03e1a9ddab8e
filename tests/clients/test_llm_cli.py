"""The command line client `llm` with its file of OpenAI-compatible models."""

import pytest

from support import client_library

cli = client_library("llm.cli")
testing = client_library("click.testing")

PROMPT = "### User:\nWhat is the capital of France?\n\n### Assistant:\n"
FRANCE = "What is the capital of France?"
ANSWER = "The capital of France is Paris.\n"

MODELS = """
- model_id: demo
  model_name: {model}
  api_base: {url}
- model_id: demo-text
  model_name: {model}
  api_base: {url}
  completion: true
- model_id: unknown
  model_name: no-such-model
  api_base: {url}
"""


@pytest.fixture
def llm(server, tmp_path, monkeypatch):
    """Returns a function that runs the command line `llm` with these arguments, in this process."""
    (tmp_path / "extra-openai-models.yaml").write_text(MODELS.format(model=server.model, url=server.base_url))
    monkeypatch.setenv("LLM_USER_PATH", str(tmp_path))
    return lambda *arguments: testing.CliRunner().invoke(cli.cli, arguments)


def test_stream_with_a_bound_as_large_as_the_context_and_a_conversation_that_continues(llm):
    first = llm("-m", "demo", "-o", "max_tokens", "4096", "-o", "temperature", "0", "-s", "Be brief.", FRANCE)
    assert (first.exit_code, first.stdout, first.stderr) == (0, ANSWER, "")
    second = llm("-c", "--no-stream", "-o", "max_tokens", "4096", "-o", "temperature", "0", "7 * 8")
    assert (second.exit_code, second.stdout, second.stderr) == (0, "7 * 8 = 56.\n", "")


def test_text_completion(llm):
    done = llm("-m", "demo-text", "-o", "max_tokens", "4096", "-o", "temperature", "0", PROMPT)
    assert (done.exit_code, done.stdout, done.stderr) == (0, ANSWER, "")


def test_json_object(llm):
    done = llm("-m", "demo", "-o", "json_object", "true", "-o", "max_tokens", "200", "-o", "temperature", "0", "Hi")
    assert done.exit_code == 0
    assert done.stdout.startswith("{")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "demo", "-o", "temperature", "3"], "Input should be less than or equal to 2"),
        (["-m", "unknown"], "The model 'no-such-model' does not exist"),
    ],
    ids=["unsupported field", "unknown model"],
)
def test_errors_reach_the_user_with_the_servers_message(llm, arguments, message):
    done = llm(*arguments, "Hi")
    assert done.exit_code == 1
    assert message in done.stderr
