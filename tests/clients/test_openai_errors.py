"""Every error as the openai package reports it: class, fields of the error, request id, whether the package retries."""

import math
import time

import pytest

from support import client_library, make_key

openai = client_library("openai")

HI = [{"role": "user", "content": "Hi"}]
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]


def client_of(server, **options):
    return openai.OpenAI(base_url=server.base_url, **{"api_key": "none", "max_retries": 0} | options)


def chat(client, **fields):
    return client.chat.completions.create(**{"model": "", "messages": HI, "max_tokens": 2} | fields)


def post(client, **body):
    return client.post("/chat/completions", cast_to=object, **body)


def check(error, status, code, kind, param=None):
    assert (error.status_code, error.code, error.type, error.param) == (status, code, kind, param)
    assert error.request_id.startswith("req_")
    assert error.body["object"] == "error"
    assert error.body["message"] and error.body["message"] in str(error)


def num_attempts(error):
    """Returns how often the package sent the request. The package counts its retries in a header of the request."""
    return 1 + int(error.response.request.headers["x-stainless-retry-count"])


def check_asked_once(error):
    assert error.response.headers["x-should-retry"] == "false"
    assert num_attempts(error) == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("fields", "exception", "status", "code", "param"),
    [
        ({"temperature": 3}, openai.BadRequestError, 400, "invalid_value", "temperature"),
        ({"tools": [{"type": "web_search"}]}, openai.BadRequestError, 400, "unsupported_parameter", "tools[0].type"),
        ({"messages": IMAGE}, openai.BadRequestError, 400, "unsupported_input", "messages[0].content"),
        ({"extra_headers": {"Host": "a.example"}}, openai.PermissionDeniedError, 403, "host_not_allowed", None),
        ({"model": "other"}, openai.NotFoundError, 404, "model_not_found", "model"),
        ({"user": "x" * 5_000_000}, openai.APIStatusError, 413, "payload_too_large", None),
        ({"extra_headers": {"Content-Type": "text/plain"}}, openai.APIStatusError, 415, "unsupported_media_type", None),
        ({"extra_headers": {"X-Padding": "x" * 20_000}}, openai.APIStatusError, 431, "headers_too_large", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_chat_has_class_code_and_field(server, fields, exception, status, code, param, stream):
    with pytest.raises(openai.APIStatusError) as caught:
        chat(client_of(server, max_retries=3), stream=stream, **fields)
    assert type(caught.value) is exception
    kind = "permission_error" if status == 403 else "invalid_request_error"
    check(caught.value, status, code, kind, param)
    check_asked_once(caught.value)


@pytest.mark.parametrize(
    ("ask", "exception", "status", "code", "param"),
    [
        (lambda c: post(c, content=b"{"), openai.BadRequestError, 400, "invalid_json", None),
        (lambda c: post(c, body=[]), openai.BadRequestError, 400, "invalid_json", None),
        (lambda c: c.embeddings.create(model="", input="a"), openai.NotFoundError, 404, "not_found", None),
        (lambda c: c.models.retrieve("other"), openai.NotFoundError, 404, "model_not_found", "model"),
        (lambda c: c.models.delete("other"), openai.APIStatusError, 405, "method_not_allowed", None),
    ],
    ids=["bad JSON", "no object", "unknown route", "unknown model", "wrong verb"],
)
def test_other_refused_calls_have_class_code_and_field(server, ask, exception, status, code, param):
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client_of(server, max_retries=3))
    assert type(caught.value) is exception
    check(caught.value, status, code, "invalid_request_error", param)
    check_asked_once(caught.value)


def test_wrong_key_is_not_retried(start_server, tmp_path):
    key = make_key(tmp_path / "keys", "alice")
    with start_server("--api-key-file", str(tmp_path / "keys"), api_key=key) as server:
        with pytest.raises(openai.AuthenticationError) as caught:
            chat(client_of(server, max_retries=3))
    check(caught.value, 401, "invalid_api_key", "authentication_error")
    check_asked_once(caught.value)
    assert caught.value.response.headers["www-authenticate"] == "Bearer"


class Answers:
    """A client that records when each answer came and how long the server told it to wait."""

    def __init__(self, server, **options):
        self.times, self.waits = [], []
        http_client = openai.DefaultHttpxClient(event_hooks={"response": [self._note]})
        self.client = client_of(server, http_client=http_client, **options)

    def _note(self, response):
        self.times.append(time.monotonic())
        self.waits.append(int(response.headers.get("retry-after-ms", 0)) / 1000)
        if self.waits[-1]:
            assert int(response.headers["retry-after"]) == math.ceil(self.waits[-1])
            assert "x-should-retry" not in response.headers


def occupy(server, **options):
    """Starts an endless answer and returns its stream after the first chunk."""
    stream = chat(client_of(server, **options), max_tokens=3000, stream=True)
    next(iter(stream))
    return stream


def test_full_server_is_retried_after_the_time_it_named(endless_model, start_server):
    with start_server("--model", str(endless_model), "--max-num-seqs", "1", "--max-queued-requests", "0") as server:
        with occupy(server):
            answers = Answers(server, max_retries=1)
            with pytest.raises(openai.InternalServerError) as caught:
                chat(answers.client)
        check(caught.value, 503, "server_overloaded", "server_error")
        assert num_attempts(caught.value) == len(answers.times) == 2
        first, second = answers.times
        assert second - first >= answers.waits[0] > 0


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_queue_timeout_is_a_503(endless_model, start_server, stream):
    flags = ("--max-num-seqs", "1", "--queue-timeout", "0.2")
    with start_server("--model", str(endless_model), *flags) as server:
        with occupy(server):
            with pytest.raises(openai.InternalServerError) as caught:
                chat(client_of(server), stream=stream)
        check(caught.value, 503, "queue_timeout", "server_error")
        server.wait_until_idle()
        assert chat(client_of(server)).choices[0].message.content == "aa"


def test_exhausted_quota_is_a_429_for_that_key_only(start_server, tmp_path):
    key = make_key(tmp_path / "keys", "alice", "tokens-per-minute=5")
    other = make_key(tmp_path / "keys", "bob")
    with start_server("--api-key-file", str(tmp_path / "keys"), api_key=other) as server:
        answers = Answers(server, api_key=key)
        assert chat(answers.client).usage.total_tokens > 5
        with pytest.raises(openai.RateLimitError) as caught:
            chat(answers.client)
        check(caught.value, 429, "rate_limit_exceeded", "rate_limit_error")
        assert 0 < answers.waits[-1] <= 600
        assert chat(client_of(server, api_key=other)).choices, "the quota of one key must not limit another key"
        assert client_of(server, api_key=key).models.list().data, "only generation may use up the quota"
