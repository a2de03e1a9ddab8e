"""The interpreter of chat templates against Jinja2, with random templates, and the way of a request to its template."""

import json
import pathlib
import shutil
import sys
import urllib.error
import urllib.request

from support import BINARY, DEADLINE, client_library

client_library("jinja2")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support"))
from jinja_reference import difference, environment, expected, ours  # noqa: E402
from template_maker import Maker  # noqa: E402


def test_generated_templates_have_the_text_of_jinja():
    env = environment()
    cases, references = [], []
    for seed in range(2000):
        maker = Maker(seed)
        cases.append((maker.template(), maker.conversation()))
        references.append(expected(env, *cases[-1]))
    answers = ours(BINARY.parent / "tests/render_templates", cases)
    assert len(answers) == len(cases)
    problems = [difference(*case, reference, answer) for case, reference, answer in zip(cases, references, answers)]
    problems = [problem for problem in problems if problem]
    num_rendered = sum(not isinstance(reference, Exception) for reference in references)
    print(f"{num_rendered} of {len(cases)} templates have a text, the others are refused by both")
    assert not problems, f"{len(problems)} differences:\n" + "\n".join(problems[:20])
    assert num_rendered > 800


TOOL = {"type": "function", "function": {"name": "weather"}}


def post(server, path, **body):
    """Returns (status, body) of a POST."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(server.root_url + path, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def render(server, **fields):
    body = {"messages": [{"role": "user", "content": "Hi"}]} | fields
    return post(server, "/v1/chat/completions/render", **body)


def test_request_reaches_the_template(start_server, endless_model, tmp_path):
    template = tmp_path / "template.jinja"
    template.write_text(
        "{# It writes calls between <tool_call> and </tool_call>. #}"
        "{{ bos_token }}{{ messages[0].name }}|{{ tools | default([], true) | length }}|{{ documents[0].text if documents }}|{{ thinking }}"
        "{% if messages[0].content == 'no' %}{{ raise_exception('not this') }}{% endif %}"
        "{% if messages[0].content == 'loop' %}"
        "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}{% endif %}"
    )
    with start_server("--model", str(endless_model), "--chat-template", str(template)) as server:
        status, body = render(
            server,
            messages=[{"role": "user", "content": "Hi", "name": "</s>"}],
            tools=[TOOL],
            documents=[{"text": "D"}],
            chat_template_kwargs={"thinking": True},
        )
        assert status == 200, body
        assert body["prompt"] == "<s></s>|1|D|True"
        assert body["token_ids"].count(1) == 1 and 2 not in body["token_ids"]
        for name in ("messages", "bos_token", "range"):
            status, body = render(server, chat_template_kwargs={name: 1})
            assert status == 400 and body["error"]["param"] == f"chat_template_kwargs.{name}"
        status, body = render(server, chat_template="{{ messages }}")
        assert status == 400 and body["error"]["param"] == "chat_template"
        status, body = render(server, messages=[{"role": "user", "content": "no"}])
        assert status == 400 and "not this" in body["error"]["message"] and body["error"]["param"] == "messages"
        status, body = render(server, messages=[{"role": "user", "content": "loop"}])
        assert status == 400 and "steps" in body["error"]["message"]
        # A long conversation is rendered on another thread.
        status, body = render(server, messages=[{"role": "user", "content": "no" + "x" * 10000, "name": "n"}])
        assert status == 200 and body["prompt"] == "<s>n|0||"


def test_folder_without_a_template_serves_completions(start_server, endless_model, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(endless_model, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    del config["chat_template"]
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    with start_server("--model", str(folder)) as server:
        status, body = post(server, "/v1/completions", prompt="Hi", max_tokens=2)
        assert status == 200, body
        status, body = post(server, "/v1/chat/completions", messages=[{"role": "user", "content": "Hi"}], max_tokens=2)
        assert status == 400 and "--chat-template" in body["error"]["message"]
    (folder / "chat_template.jinja").write_text("{% for m in messages %}<{{ m.content }}>{% endfor %}")
    with start_server("--model", str(folder)) as server:
        assert render(server)[1]["prompt"] == "<Hi>"


def test_truncation_keeps_a_conversation_that_the_template_accepts(start_server):
    long = "word " * 900
    turns = [{"role": "assistant" if number % 2 else "user", "content": f"{number} {long}"} for number in range(7)]
    with start_server("--chat-template", "mistral") as server:
        request = {"input": turns, "max_output_tokens": 4, "store": False}
        status, body = post(server, "/v1/responses", **request)
        assert status == 400 and body["error"]["code"] == "context_length_exceeded", body
        status, body = post(server, "/v1/responses", truncation="auto", **request)
        assert status == 200, body
        assert 900 < body["usage"]["input_tokens"] < 4096


def test_prompt_without_tokens_is_refused(server):
    for fields in ({"echo": True}, {}, {"echo": True, "max_tokens": 0}):
        for prompt in ("", ["Hi", ""]):
            status, body = post(server, "/v1/completions", prompt=prompt, add_special_tokens=False, **fields)
            assert status == 400 and body["error"]["param"] == "prompt", body
