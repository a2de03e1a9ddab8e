"""A real nginx in front of the server, with the name of an upstream as `Host`."""

import contextlib
import pathlib
import shutil
import signal
import socket
import subprocess

import pytest

from support import DEADLINE, ROOT, client_library, free_port, require, wait_until

openai = client_library("openai")
requests = client_library("requests")

FRANCE = [{"role": "user", "content": "What is the capital of France?"}]
ANSWER = "The capital of France is Paris."

# nginx buffers answers, keeps connections to the upstream, and sends the upstream's name as `Host`.
CONFIGURATION = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
    upstream solard {{ server 127.0.0.1:{upstream}; keepalive 4; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://solard;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""


def find_nginx():
    unpacked = ROOT / "build/nginx/usr/sbin/nginx"  # test.sh unpacks the package there
    return str(unpacked) if unpacked.exists() else shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")


@contextlib.contextmanager
def running_nginx(folder, server):
    """Starts nginx in front of the server and returns its root URL."""
    nginx = find_nginx()
    require(nginx, "nginx")
    port = free_port()
    file = pathlib.Path(folder) / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, upstream=server.port, port=port))
    command = [nginx, "-p", str(folder), "-e", f"{folder}/start.log", "-c", str(file), "-g", "master_process off;"]
    process = subprocess.Popen(command, cwd=folder)

    def listens():
        assert process.poll() is None, f"nginx ended with {process.returncode}: {(folder / 'start.log').read_text()}"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True

    try:
        wait_until(listens, "nginx")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(DEADLINE)


@pytest.fixture
def proxied(tmp_path, start_server):
    """Returns (root URL of nginx, model)."""
    with start_server("--allowed-hosts", "solard") as server, running_nginx(tmp_path, server) as url:
        yield url, server.model


def test_answers_and_streams_pass(proxied):
    url, model = proxied
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    for _ in range(3):  # over kept connections to the upstream
        whole = client.chat.completions.create(model=model, messages=FRANCE, temperature=0)
        assert whole.choices[0].message.content == ANSWER
        stream = client.chat.completions.create(model=model, messages=FRANCE, temperature=0, stream=True)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == ANSWER
    with pytest.raises(openai.BadRequestError, match="temperature must be a number from 0 to 2"):
        client.chat.completions.create(model=model, messages=FRANCE, temperature=3, stream=True)


def test_websocket_passes(proxied):
    url, model = proxied
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
    with client.responses.connect() as connection:
        connection.response.create(model=model, input=FRANCE[0]["content"], temperature=0)
        text = ""
        for event in connection:
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "response.completed":
                break
    assert text == ANSWER


def test_stream_is_not_held_back(tmp_path, start_server, endless_model):
    """While one request holds the only place, another one waits. The keep-alive bytes of its stream are far fewer than
    nginx's buffer holds, so they come only if nothing holds them back."""
    flags = ("--max-num-seqs", "1", "--keep-alive-interval", "0.05", "--allowed-hosts", "solard")
    with start_server("--model", str(endless_model), *flags) as server, running_nginx(tmp_path, server) as url:
        body = {"model": server.model, "messages": FRANCE, "max_tokens": 3000, "stream": True}
        with requests.post(f"{url}/v1/chat/completions", json=body, stream=True, timeout=DEADLINE) as running:
            lines = running.iter_lines()  # the connection closes with this iterator
            assert any(line.startswith(b"data: ") for line in lines)
            with requests.post(f"{url}/v1/chat/completions", json=body, stream=True, timeout=DEADLINE) as waiting:
                assert waiting.headers["content-type"].startswith("text/event-stream")
                pieces = waiting.iter_content(1)
                assert len([next(pieces) for _ in range(20)]) == 20  # the first bytes may come with the header
                assert server.engine()["num_waiting"] == 1
        server.wait_until_idle()  # nginx closes its connections too, which cancels both requests


def test_name_of_the_upstream_must_be_allowed(tmp_path, start_server):
    with start_server() as server, running_nginx(tmp_path, server) as url:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none")
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.chat.completions.create(model=server.model, messages=FRANCE)
        assert caught.value.code == "host_not_allowed"
        assert "'solard' is not allowed. The operator can allow it with the option --allowed-hosts." in str(caught.value)
