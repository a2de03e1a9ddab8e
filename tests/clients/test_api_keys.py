"""Every client with a server that requires an API key: with a valid key, with a wrong key, without a key."""

import pytest

from support import client_library, get_json, make_key, running_server

openai = client_library("openai")
nvidia = client_library("langchain_nvidia_ai_endpoints")
langchain_openai = client_library("langchain_openai")
litellm = client_library("litellm")

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
PROMPT = "### User:\nWhat is the capital of France?\n\n### Assistant:\n"
GREEDY = {"temperature": 0, "max_tokens": 40}
NO_KEY = {"Authorization": openai.Omit()}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def no_key_in_the_environment(monkeypatch):
    for name in ("OPENAI_API_KEY", "NVIDIA_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Returns (key file, key of Alice, key of Bob)."""
    file = tmp_path_factory.mktemp("keys") / "keys"
    return file, make_key(file, "alice"), make_key(file, "bob")


@pytest.fixture(scope="module")
def closed_server(tmp_path_factory, keys):
    file, alice, _ = keys
    with running_server(tmp_path_factory.mktemp("closed"), "--api-key-file", str(file), api_key=alice) as server:
        yield server


def openai_chat(server, key):
    client = openai.OpenAI(base_url=server.base_url, api_key=key or "none", max_retries=0)
    headers = {} if key else NO_KEY
    answer = client.chat.completions.create(model="", messages=FRANCE, extra_headers=headers, **GREEDY)
    return answer.choices[0].message.content


def openai_completions(server, key):
    client = openai.OpenAI(base_url=server.base_url, api_key=key or "none", max_retries=0)
    headers = {} if key else NO_KEY
    answer = client.completions.create(model="", prompt=PROMPT, extra_headers=headers, **GREEDY)
    return answer.choices[0].text


def chat_nvidia(server, key):
    return nvidia.ChatNVIDIA(base_url=server.base_url, model=server.model, api_key=key, **GREEDY).invoke(FRANCE).content


def nvidia_completions(server, key):
    return nvidia.NVIDIA(base_url=server.base_url, model=server.model, api_key=key, **GREEDY).invoke(PROMPT)


def langchain_options(server, key):
    return {"base_url": server.base_url, "model": server.model, "api_key": key, "max_retries": 0} | GREEDY


def chat_openai(server, key):
    return langchain_openai.ChatOpenAI(**langchain_options(server, key)).invoke(FRANCE).content


def langchain_completions(server, key):
    return langchain_openai.OpenAI(**langchain_options(server, key)).invoke(PROMPT)


def litellm_chat(server, key):
    fields = {"model": f"openai/{server.model}", "api_base": server.base_url, "api_key": key, "max_retries": 0}
    return litellm.completion(messages=FRANCE, **fields, **GREEDY).choices[0].message.content


CLIENTS = [
    (openai_chat, openai.AuthenticationError),
    (openai_completions, openai.AuthenticationError),
    (chat_nvidia, Exception),
    (nvidia_completions, Exception),
    (chat_openai, openai.AuthenticationError),
    (langchain_completions, openai.AuthenticationError),
    (litellm_chat, litellm.AuthenticationError),
]
SEND_NO_KEY = (openai_chat, openai_completions, chat_nvidia, nvidia_completions)  # the other clients require a key


@pytest.mark.parametrize(("ask", "exception"), CLIENTS, ids=lambda value: getattr(value, "__name__", ""))
def test_only_a_valid_key_is_accepted(closed_server, keys, ask, exception):
    _, alice, bob = keys
    for right in (alice, bob):
        assert ask(closed_server, right) == "The capital of France is Paris."
    for wrong in ("none", alice[:-1], alice + "a", alice.swapcase()) + ((None,) if ask in SEND_NO_KEY else ()):
        with pytest.raises(exception, match="The API key is missing or wrong") as caught:
            ask(closed_server, wrong)
        assert wrong is None or wrong == "none" or wrong not in str(caught.value)


@pytest.mark.parametrize(("ask", "exception"), CLIENTS, ids=lambda value: getattr(value, "__name__", ""))
def test_server_without_keys_accepts_any_key_and_none(server, ask, exception):
    for key in ("none", "nvapi-1") + ((None,) if ask in SEND_NO_KEY else ()):
        assert ask(server, key) == "The capital of France is Paris."


def test_only_health_routes_are_open_without_a_key(closed_server):
    for path in ("/health", "/v1/health/live", "/v1/health/ready"):
        assert get_json(closed_server.root_url + path)[0] == 200
    for path in ("/v1/models", "/v1/metadata", "/v1/version", "/metrics", "/v1/nothing"):
        status, body = get_json(closed_server.root_url + path)
        assert (status, body["error"]["code"]) == (401, "invalid_api_key"), path


def test_looking_up_models_needs_the_key(closed_server, keys):
    key = keys[1]
    assert nvidia.ChatNVIDIA(base_url=closed_server.base_url, api_key=key).model == closed_server.model
    assert openai.OpenAI(base_url=closed_server.base_url, api_key=key).models.list().data[0].id == closed_server.model
    with pytest.raises(Exception, match="missing or wrong"):
        nvidia.ChatNVIDIA(base_url=closed_server.base_url, api_key="nvapi-wrong")


def test_keys_are_neither_logged_nor_stored(closed_server, keys):
    for key in keys[1:]:
        openai_chat(closed_server, key)
        assert key not in closed_server.log()
        assert key not in keys[0].read_text()
    assert closed_server.log().count(" POST /v1/chat/completions 200 ") >= 2


def test_key_file_is_readable_by_its_owner_only(keys):
    assert keys[0].stat().st_mode & 0o077 == 0


def test_every_client_sees_an_exhausted_quota_as_rate_limit(tmp_path, start_server):
    key = make_key(tmp_path / "keys", "alice", "tokens-per-minute=5")
    with start_server("--api-key-file", str(tmp_path / "keys"), api_key=key) as server:
        assert openai_chat(server, key)
        for ask, exception in CLIENTS:
            library = litellm if ask is litellm_chat else openai
            limited = Exception if exception is Exception else library.RateLimitError
            with pytest.raises(limited, match="reached its tokens-per-minute limit"):
                ask(server, key)
