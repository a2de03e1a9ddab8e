"""An answer that fails while it streams: every client raises an error, and none returns only the partial text."""

import pytest

from support import client_library, running_server

openai = client_library("openai")
nvidia = client_library("langchain_nvidia_ai_endpoints")
langchain_openai = client_library("langchain_openai")
litellm = client_library("litellm")

HI = [{"role": "user", "content": "Hi"}]
TOO_LONG = 3000  # tokens; the endless model needs more time for them than the server allows

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def hasty_server(tmp_path_factory, endless_model):
    """A server that allows each request one second."""
    flags = ("--model", str(endless_model), "--request-timeout", "1")
    with running_server(tmp_path_factory.mktemp("hasty"), *flags) as server:
        yield server


def openai_client(server):
    return openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)


def openai_chat(server):
    fields = {"model": server.model, "messages": HI, "max_tokens": TOO_LONG}
    for chunk in openai_client(server).chat.completions.create(**fields, stream=True):
        yield chunk.choices[0].delta.content


def openai_stream_helper(server):
    fields = {"model": server.model, "messages": HI, "max_tokens": TOO_LONG}
    with openai_client(server).chat.completions.stream(**fields) as stream:
        for event in stream:
            if event.type == "content.delta":
                yield event.delta


def openai_completions(server):
    fields = {"model": server.model, "prompt": ["a", "b"], "max_tokens": TOO_LONG}
    for chunk in openai_client(server).completions.create(**fields, stream=True):
        yield chunk.choices[0].text


def chat_nvidia(server):
    chat = nvidia.ChatNVIDIA(base_url=server.base_url, model=server.model, max_tokens=TOO_LONG)
    for chunk in chat.stream(HI):
        yield chunk.content


def nvidia_completions(server):
    yield from nvidia.NVIDIA(base_url=server.base_url, model=server.model, max_tokens=TOO_LONG).stream("a")


def langchain_options(server):
    fields = {"base_url": server.base_url, "api_key": "none", "model": server.model}
    return fields | {"max_tokens": TOO_LONG, "max_retries": 0}


def chat_openai(server):
    for chunk in langchain_openai.ChatOpenAI(**langchain_options(server)).stream(HI):
        yield chunk.content


def langchain_completions(server):
    yield from langchain_openai.OpenAI(**langchain_options(server)).stream("a")


def litellm_options(server):
    return {"api_base": server.base_url, "api_key": "none", "max_tokens": TOO_LONG, "max_retries": 0}


def litellm_chat(server):
    fields = {"model": f"openai/{server.model}", "messages": HI}
    for chunk in litellm.completion(**fields, **litellm_options(server), stream=True):
        yield chunk.choices[0].delta.content


def litellm_completions(server):
    fields = {"model": f"text-completion-openai/{server.model}", "prompt": "a"}
    for chunk in litellm.text_completion(**fields, **litellm_options(server), stream=True):
        yield chunk.choices[0].text


@pytest.mark.parametrize(
    ("read", "exception"),
    [
        (openai_chat, openai.APIError),
        (openai_stream_helper, openai.APIError),
        (openai_completions, openai.APIError),
        (chat_nvidia, Exception),
        (nvidia_completions, Exception),
        (chat_openai, openai.APIError),
        (langchain_completions, openai.APIError),
        (litellm_chat, litellm.ServiceUnavailableError),
        (litellm_completions, litellm.InternalServerError),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_every_client_raises_the_error_in_the_stream(hasty_server, read, exception):
    texts = read(hasty_server)
    assert next(texts), "text must come first: the header with status 200 is then sent"
    with pytest.raises(exception, match="The server is too busy to finish the request") as caught:
        list(texts)
    if exception is openai.APIError:
        assert (caught.value.code, caught.value.type) == ("server_overloaded", "server_error")
    hasty_server.wait_until_idle()


def test_whole_answer_fails_with_a_status(hasty_server):
    with pytest.raises(openai.InternalServerError) as caught:
        openai_client(hasty_server).chat.completions.create(model="", messages=HI, max_tokens=TOO_LONG)
    assert (caught.value.status_code, caught.value.code) == (503, "server_overloaded")
    with pytest.raises(litellm.ServiceUnavailableError):
        litellm.completion(model=f"openai/{hasty_server.model}", messages=HI, **litellm_options(hasty_server))
