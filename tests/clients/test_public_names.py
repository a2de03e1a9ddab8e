"""The public names of the program are those of public_names.txt: options, environment variables, routes, headers, JSON members,
event types, error types and codes, metrics, log lines, exit codes, close codes, notifications of the service manager.

The test collects the names from the running program. Names which the program does not show are read from the sources.
`python tests/clients/test_public_names.py --write` writes the file anew.
"""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import sys
import tempfile
import threading

import pytest

from endless_model import write_endless_model
from support import DEADLINE, ROOT, client_library, get_json, make_key, run_solard, running_server, wait_until

requests = client_library("requests")
websockets = client_library("websockets")
connect = client_library("websockets.sync.client").connect

LIST = ROOT / "tests/clients/public_names.txt"
HINT = (
    "Public names do not change, and none is removed. A new public name is added to tests/clients/public_names.txt "
    "(python tests/clients/test_public_names.py --write) and to the section \"Changes\" of README.md."
)
FRANCE = "What is the capital of France?"
MESSAGES = [{"role": "user", "content": FRANCE}]
GREEDY = {"temperature": 0, "max_tokens": 4}
ORIGIN = "https://example.com"
TERMINALS = {"response.completed", "response.incomplete", "response.failed", "error"}

# Members whose string values are public names, too. Members whose values the client chooses are not in this set.
CLOSED = {
    "code", "finish_reason", "object", "owned_by", "phase", "protocol", "reason", "role", "state", "status", "tool_choice",
    "truncation", "type",
}  # fmt: skip
UNCERTAIN_VALUES = {"phase"}  # the phases that are reported depend on time
KEYED_BY_DATA = re.compile(r"(^completion( chunk)? choices\[\]\.logprobs\.top_logprobs\[\]|prompt_logprobs\[\]|metadata|tools\[\]|content\[\]\.input)$")


class Names:
    def __init__(self):
        self.sections = {}

    def add(self, section, *names):
        self.sections.setdefault(section, set()).update(names)

    def add_json(self, label, value, path=""):
        """Adds the members of an answer, and the values of CLOSED members. A response in an event has its own label."""
        if path and isinstance(value, dict) and value.get("object") == "response":
            self.add_json("response of an event", value)
        elif isinstance(value, dict) and not KEYED_BY_DATA.search(f"{label} {path}"):
            for name, inner in value.items():
                full = f"{path}.{name}" if path else name
                self.add("JSON members of answers", f"{label}: {full}")
                self.add_json(label, inner, full)
                if isinstance(inner, str) and name in CLOSED - UNCERTAIN_VALUES:
                    self.add("JSON values of answers", f"{label}: {full} = {inner}")
        elif isinstance(value, list):
            for item in value:
                self.add_json(label, item, path + "[]")

    def text(self):
        parts = [f"# {title}\n" + "".join(f"{name}\n" for name in sorted(names)) for title, names in sorted(self.sections.items())]
        return "\n".join(parts)


# --- the command line ---


def collect_options(names):
    help_text = run_solard("--help").stdout
    options = re.findall(r"^  (--[a-z-]+)(?: (\S+))?", help_text, re.MULTILINE)
    assert len(options) > 40
    names.add("options", *(f"{option} {value}".strip() for option, value in options))
    usage = run_solard("keygen", "--help").stderr
    names.add("options", *(f"keygen {option}" for option in re.findall(r"\[(--[a-z-]+ [A-Z]+)\]", usage)))

    empty_by_default = ["--served-model-name", "a", "--allowed-hosts", "a", "--allowed-origins", "https://a"]
    settings = run_solard("--check-config", *empty_by_default).stdout
    values = dict(re.findall(r"^(\S+) = (.*?)  # ", settings, re.MULTILINE))
    values |= dict.fromkeys(re.findall(r"^# (\S+) is not set$", settings, re.MULTILINE), "")  # a secret
    names.add("keys of the configuration file", *values)
    values |= {"chat-template": "solar", "metrics-compat": "vllm"}
    variables = {key: "SOLARD_" + key.upper().replace("-", "_") for key in values}
    with environment({variables[key]: value or "x" for key, value in values.items()}):
        settings = run_solard("--check-config").stdout
    read = re.findall(r"^(\S+) = .*  # environment$", settings, re.MULTILINE)
    read += re.findall(r"^# (\S+) is set and not shown, environment$", settings, re.MULTILINE)
    names.add("environment variables", *(variables[key] for key in read))


@contextlib.contextmanager
def environment(variables):
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def collect_environment_of_the_sources(names):
    """Adds the environment variables that are not options. Only their names are string literals of this form."""
    for folder in ("server", "inference", "cuda"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".cpp", ".hpp", ".cu", ".cuh"):
                found = re.findall(r'"([A-Z]+(?:_[A-Z]+)+|HOME)"', path.read_text())
                names.add("environment variables", *(name for name in found if not name.startswith("SOLARD_")))


def collect_exit_codes(names, folder):
    with socket.create_server(("127.0.0.1", 0)) as taken, environment({"CUDA_VISIBLE_DEVICES": ""}):
        port = str(taken.getsockname()[1])
        for what, arguments in {
            "asked for its version": ["--version"],
            "unknown option": ["--no-such-option"],
            "bad value of an option": ["--port", "x"],
            "keygen with an unknown option": ["keygen", "--no-such-option"],
            "keygen with a file that cannot be written": ["keygen", "--api-key-file", str(folder / "none/keys")],
            "missing model folder": ["--model", str(folder / "none")],
            "no usable GPU": ["--device", "cuda"],
            "missing configuration file": ["--config", str(folder / "none.conf")],
            "other hosts without a key": ["--host", "0.0.0.0"],
            "missing key file": ["--api-key-file", str(folder / "none.keys")],
            "port in use": ["--device", "cpu", "--port", port],
        }.items():
            names.add("exit codes", f"{run_solard(*arguments).returncode} {what}")


# --- openapi.json and the table of errors ---


def collect_errors(names):
    source = (ROOT / "server/api/error.cpp").read_text()
    constants = dict(re.findall(r'string_view (\w+) = "(\w+)"', source))
    rows = re.findall(r'ErrorInfo\{\s*errc::\w+,\s*(\d+),\s*("?)(\w+)"?,\s*"(\w+)",\s*(true|false)', source)
    assert len(rows) > 20
    for status, quote, kind, code, retry in rows:
        kind = kind if quote else constants[kind]
        names.add("errors", f"{code} {kind} {status}" + (" Retry-After" if retry == "true" else ""))


def collect_schema(names, path, schema):
    for name, inner in schema.get("properties", {}).items():
        names.add("members of the schemas of openapi.json", f"{path}.{name}")
        collect_schema(names, f"{path}.{name}", inner)
    for value in schema.get("enum", []) + ([schema["const"]] if "const" in schema else []):
        names.add("members of the schemas of openapi.json", f"{path} = {json.dumps(value)}")
    for item in [schema.get("items")] + schema.get("prefixItems", []):
        if isinstance(item, dict):
            collect_schema(names, path + "[]", item)
    for kind in ("allOf", "anyOf", "oneOf"):
        for inner in schema.get(kind, []):
            collect_schema(names, path, inner)


def collect_document(names, document):
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            parameters = [" ?" + one["name"] for one in operation.get("parameters", []) if one.get("in") == "query"]
            names.add("routes", f"{verb.upper()} {path}" + "".join(sorted(parameters)))
    for name, schema in document["components"]["schemas"].items():
        names.add("schemas of openapi.json", name)
        collect_schema(names, name, schema)


# --- HTTP ---


class Http:
    def __init__(self, names, server):
        self.names = names
        self.root = server.root_url
        self.session = requests.Session()

    def ask(self, verb, path, body=None, label=None, **options):
        if isinstance(body, dict):
            options["json"] = body
        elif body is not None:
            options["data"] = body
            options["headers"] = {"Content-Type": "application/json"}
        answer = self.session.request(verb, self.root + path, timeout=DEADLINE, **options)
        self.names.add("header fields of answers", *(name.lower() for name in answer.headers))
        if answer.headers.get("content-type") == "application/json" and answer.text:
            found = answer.json()
            wrong = answer.status_code >= 400 and "error" in found
            assert wrong or label, (answer.status_code, answer.text)
            self.names.add_json("error" if wrong else label, found)
            return found
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            self.collect_stream(label, answer.text)
        return answer

    def collect_stream(self, label, text):
        for event in filter(None, text.split("\n\n")):
            fields = dict(line.split(": ", 1) for line in event.splitlines() if not line.startswith(":"))
            self.names.add("fields of streams", *(f"{label}: {name}" for name in fields))
            if fields.get("data") == "[DONE]":
                self.names.add("fields of streams", f"{label}: data = [DONE]")
            elif "data" in fields:
                value = json.loads(fields["data"])
                if "event" in fields:
                    self.names.add("event types", f"stream: {fields['event']}")
                self.names.add_json(f"stream {value['type']}" if "event" in fields else label, value)


def collect_answers(names, server):
    http = Http(names, server)
    chat, text = "/v1/chat/completions", "/v1/completions"
    streamed = {"stream": True, "stream_options": {"include_usage": True, "continuous_usage_stats": True}}
    asked = {"messages": MESSAGES, "n": 2, "logprobs": True, "top_logprobs": 2, "return_token_ids": True} | GREEDY
    prompts = {"prompt": [FRANCE, "Hi"], "n": 2, "logprobs": 2, "return_token_ids": True} | GREEDY
    stopped = {"messages": MESSAGES, "temperature": 0}
    for body in (asked, stopped, stopped | {"stop": "capital"}):
        http.ask("POST", chat, body, "chat")
        http.ask("POST", chat, body | streamed, "chat chunk")
    http.ask("POST", text, prompts, "completion")
    http.ask("POST", text, prompts | streamed, "completion chunk")
    http.ask("POST", text, {"prompt": "Hi", "echo": True} | GREEDY, "completion")
    http.ask("POST", text, {"prompt": "Hi", "prompt_logprobs": 1} | GREEDY, "completion")
    http.ask("POST", chat, {"messages": MESSAGES, "prompt_logprobs": 1} | GREEDY, "chat")
    http.ask("POST", chat + "/render", {"messages": MESSAGES}, "render")
    http.ask("POST", "/tokenize", {"prompt": FRANCE, "return_token_strs": True}, "tokenize")
    http.ask("POST", "/detokenize", {"tokens": [1, 446]}, "detokenize")
    http.ask("GET", "/v1/models", label="models")
    http.ask("GET", "/v1/models/" + server.model, label="model")
    for path in ("/health", "/v1/health/live", "/v1/health/ready"):
        http.ask("GET", path, label=path)
    for path in ("/v1/metadata", "/v1/version", "/v1/license"):
        http.ask("GET", path, label=path)
    http.ask("POST", "/v1/ws_tickets", label="ws_ticket")
    page = http.ask("GET", "/").text
    http.ask("GET", re.search(r'(?:src|href)="(/assets/[^"]+)"', page)[1])
    http.ask("OPTIONS", chat, headers={"Origin": ORIGIN})
    http.ask("GET", "/v1/models", label="models", headers={"Origin": ORIGIN})
    collect_responses(http)
    collect_calls(http)
    collect_messages(http)
    collect_refusals(http)
    document = http.session.get(server.root_url + "/openapi.json", timeout=DEADLINE).json()
    collect_document(names, document)


def collect_responses(http):
    route = "/v1/responses"
    logprobs = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    asked = {"input": FRANCE, "temperature": 0, "metadata": {"a": "b"}, "user": "u"} | logprobs
    whole = http.ask("POST", route, asked, "response")
    http.ask("POST", route, asked | {"max_output_tokens": 2}, "response")
    http.ask("POST", route, asked | {"stream": True}, "response stream")
    http.ask("POST", route, asked | {"stream": True, "max_output_tokens": 2}, "response stream")
    http.ask("POST", route + "/input_tokens", {"input": FRANCE}, "input_tokens")
    http.ask("GET", f"{route}/{whole['id']}", label="response")
    http.ask("GET", f"{route}/{whole['id']}?stream=true&starting_after=2", label="response stream")
    http.ask("POST", f"{route}/{whole['id']}/cancel")
    http.ask("DELETE", f"{route}/{whole['id']}", label="deleted response")
    http.ask("GET", f"{route}/{whole['id']}")


def collect_calls(http):
    parameters = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}
    functions = [{"type": "function", "function": {"name": "f", "parameters": parameters}}]
    custom = [{"type": "custom", "custom": {"name": "c"}}]
    for tools in (functions, custom):
        asked = {"messages": MESSAGES, "max_tokens": 60, "temperature": 0, "tools": tools, "tool_choice": "required", "parallel_tool_calls": False}
        http.ask("POST", "/v1/chat/completions", asked, "chat")
        http.ask("POST", "/v1/chat/completions", asked | {"stream": True}, "chat chunk")
        beside = [{"type": tool["type"], **tool[tool["type"]]} for tool in tools]
        asked = {"input": FRANCE, "max_output_tokens": 60, "temperature": 0, "tools": beside, "tool_choice": "required", "parallel_tool_calls": False}
        http.ask("POST", "/v1/responses", asked, "response")
        http.ask("POST", "/v1/responses", asked | {"stream": True}, "response stream")


def collect_messages(http):
    tool = {"name": "f", "input_schema": {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}}
    serial = {"type": "any", "disable_parallel_tool_use": True}
    asked = {"messages": MESSAGES, "max_tokens": 60, "temperature": 0}
    for fields in ({}, {"tools": [tool], "tool_choice": serial}, {"max_tokens": 2}, {"stop_sequences": ["is"]}):
        http.ask("POST", "/v1/messages", asked | fields, "messages")
        http.ask("POST", "/v1/messages", asked | fields | {"stream": True}, "messages event")
    http.ask("POST", "/v1/messages/count_tokens", {"messages": MESSAGES}, "count_tokens")
    http.ask("POST", "/v1/messages", {"messages": MESSAGES}, "messages")


def collect_refusals(http):
    chat = "/v1/chat/completions"
    http.ask("POST", chat, "{")
    http.ask("POST", chat, {"messages": 1})
    http.ask("POST", chat, {"messages": MESSAGES, "tools": [{"type": "web_search"}]})
    http.ask("POST", chat, {"messages": MESSAGES, "model": "none"})
    http.ask("POST", chat, {"messages": [{"role": "user", "content": "a " * 30_000}]})
    http.ask("POST", "/v1/responses", {"input": "a", "previous_response_id": "resp_none"})
    http.ask("POST", chat, data="a", headers={"Content-Type": "text/plain"})
    http.ask("GET", chat)
    http.ask("GET", "/none")
    http.ask("GET", "/v1/responses")
    http.ask("GET", "/v1/models", headers={"Host": "example.com"})
    http.ask("GET", "/v1/models", headers={"X-A": "a" * 20_000})


def collect_refusals_of_keys(names, folder):
    key = make_key(folder / "keys", "alice", "tokens-per-minute=1")
    make_key(folder / "keys", "bob", "concurrency=1")  # the server starts only if it knows the limit `concurrency`
    with running_server(folder, "--api-key-file", str(folder / "keys"), api_key=key) as server:
        http = Http(names, server)
        http.ask("GET", "/v1/models")
        authorization = {"Authorization": f"Bearer {key}"}
        http.ask("POST", "/v1/chat/completions", {"messages": MESSAGES} | GREEDY, "chat", headers=authorization)
        refused = http.ask("POST", "/v1/chat/completions", {"messages": MESSAGES} | GREEDY, headers=authorization)
        assert refused["error"]["code"] == "rate_limit_exceeded"
        names.add("limits of a key", "concurrency", "tokens-per-minute")
        prefix = "openai-insecure-api-key."
        # The socket opens only if the server finds the key in the subprotocol.
        with open_socket(names, server, "solar.responses.v1", prefix + key):
            names.add("subprotocols", prefix + "KEY")


def collect_metrics(names, server):
    """Adds each metric with its type and labels, and the values of the labels whose values are names."""
    bounds = {}
    for line in requests.get(server.root_url + "/metrics", timeout=DEADLINE).text.splitlines():
        if line.startswith("# TYPE "):
            names.add("metrics", line.removeprefix("# TYPE "))
        elif not line.startswith("#"):
            metric, labels = re.match(r"([\w:]+)\{(.*)\} ", line).groups()
            found = re.findall(r'(\w+)="([^"]*)"', labels)
            names.add("labels of metrics", f"{metric}: {', '.join(label for label, _ in found)}")
            for label, value in found:
                if label in ("finished_reason", "state"):
                    names.add("labels of metrics", f"{metric}: {label} = {value}")
                elif label == "le":
                    bounds.setdefault(metric, []).append(value)
    names.add("labels of metrics", *(f"{metric}: le = {' '.join(values)}" for metric, values in bounds.items()))


# --- the WebSocket ---


@contextlib.contextmanager
def open_socket(names, server, *protocols):
    protocols = protocols or ("solar.responses.v1",)
    url = server.base_url.replace("http", "ws") + "/responses"
    with connect(url, subprotocols=list(protocols), open_timeout=DEADLINE) as wire:
        yield Socket(names, wire)


class Socket:
    def __init__(self, names, wire):
        self.names = names
        self.socket = wire
        self.names.add("header fields of answers", *(name.lower() for name in self.socket.response.headers))

    def send(self, kind, **members):
        self.socket.send(json.dumps({"type": kind} | members))

    def create(self, **members):
        self.send("response.create", **({"input": FRANCE, "temperature": 0} | members))

    def receive(self):
        event = json.loads(self.socket.recv(timeout=DEADLINE))
        self.names.add("event types", f"socket: {event['type']}")
        self.names.add_json(f"socket {event['type']}", event)
        return event

    def receive_until(self, *kinds):
        while (event := self.receive())["type"] not in kinds:
            pass
        return event

    def close_code(self):
        with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
            while True:
                self.socket.recv(timeout=DEADLINE)
        return closed.value.rcvd.code


# (type of a message, one of its members, a wrong value of this member). The server's error must name the member, which
# proves that the server reads this member.
MEMBERS_OF_MESSAGES = [
    ("response.create", "stream_id", 1),
    ("response.create", "event_id", 1),
    ("response.create", "generate", 1),
    ("response.create", "previous_response_id", 1),
    ("response.create", "solar.resumable", 1),
    ("response.create", "solar.progress", 1),
    ("response.create", "solar.max_delta_hz", "a"),
    ("response.create", "solar.idempotency_key", 1),
    ("response.cancel", "response_id", 1),
    ("response.cancel", "queued", 1),
    ("solar:attach", "response_id", 1),
    ("solar:attach", "starting_after", "a"),
    ("solar:detach", "response_id", 1),
    ("solar:ping", "t", {}),
]


def collect_socket(names, server):
    for kind in ("solar.responses.v1", "openai-beta.responses-v1", "openai-beta.responses.v1"):
        with open_socket(names, server, "none", kind) as connection:
            names.add("subprotocols", str(connection.socket.subprotocol))
    with open_socket(names, server) as connection:
        collect_events(connection)
        collect_members_of_messages(names, connection)
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            for _ in range(30):
                connection.send("none")
        names.add("close codes", f"{connection.close_code()} more than 20 wrong messages")
    with open_socket(names, server) as connection:
        connection.socket.send(b"a")
        names.add("close codes", f"{connection.close_code()} binary message")


def collect_events(connection):
    connection.receive_until("solar:session")
    connection.send("solar:ping", t=1)
    connection.receive_until("solar:pong")
    connection.send("response.steer", stream_id="a", event_id="e")
    connection.receive_until("response.steer.failed")
    connection.create(stream_id="a", event_id="e", include=["message.output_text.logprobs"], top_logprobs=2)
    connection.receive_until("response.completed")
    connection.create(max_output_tokens=2)
    connection.receive_until("response.incomplete")
    connection.create(stream_id="b", solar={"resumable": True, "idempotency_key": "k", "max_delta_hz": 10})
    whole = connection.receive_until("response.completed")
    connection.send("solar:attach", response_id=whole["response_id"], starting_after=1, stream_id="c")
    connection.receive_until("response.completed")
    connection.send("solar:detach", response_id="resp_none", stream_id="c", event_id="e")
    connection.receive_until("error")


def collect_members_of_messages(names, connection):
    for kind, path, value in MEMBERS_OF_MESSAGES:
        group, _, name = path.rpartition(".")
        message = {"input": "a"} | ({"response_id": "resp_none"} if kind == "solar:attach" else {})
        connection.send(kind, **(message | ({group: {name: value}} if group else {name: value})))
        if connection.receive_until("error")["param"] == path:
            names.add("members of messages", f"{kind}: {path}")


# --- events that need an answer that does not end ---

ENDLESS = [
    "--max-num-seqs", "1", "--request-timeout", "1.2", "--keep-alive-interval", "0.1", "--ws-max-waiting", "0",
    "--max-waiting-memory", "1MiB", "--ws-max-message-size", "2MiB",
]  # fmt: skip


def collect_failures(names, folder, manager):
    (folder / "model").mkdir()
    model = write_endless_model(folder / "model")
    with running_server(folder, "--model", str(model), *ENDLESS) as server:
        http = Http(names, server)
        unending = {"max_tokens": 3000}
        http.ask("POST", "/v1/chat/completions", {"messages": MESSAGES} | unending)
        http.ask("POST", "/v1/chat/completions", {"messages": MESSAGES, "stream": True} | unending, "chat chunk")
        responses = {"input": "a", "max_output_tokens": 3000}
        http.ask("POST", "/v1/responses", responses | {"stream": True}, "response stream")
        with open_socket(names, server) as connection:
            connection.socket.send(" " * 1_500_000)
            names.add("close codes", f"{connection.close_code()} too much unfinished input")
        with open_socket(names, server) as connection:
            collect_long_events(connection)
            server.process.send_signal(signal.SIGTERM)
            names.add("close codes", f"{connection.close_code()} the server restarts")
        names.add("exit codes", f"{server.process.wait(DEADLINE)} SIGTERM")
        for line in (folder / "solard.log").read_text().splitlines():
            collect_log_line(names, line)
    manager.collect(names)
    collect_second_signal(names, folder / "again", model)


def collect_second_signal(names, folder, model):
    folder.mkdir()
    with running_server(folder, "--model", str(model)) as server, open_socket(names, server) as connection:
        connection.create(max_output_tokens=3000)
        connection.receive_until("response.in_progress")
        server.process.send_signal(signal.SIGTERM)
        # The kernel merges two pending signals of the same kind. So the test sends the second signal only after the
        # server has handled the first signal.
        wait_until(lambda: get_json(server.base_url + "/health/ready")[0] != 200, "the drain")
        server.process.send_signal(signal.SIGTERM)
        connection.receive_until("response.failed")
        names.add("exit codes", f"{server.process.wait(DEADLINE)} second SIGTERM")


def collect_long_events(connection):
    """Collects the answers about a response that waits, one that fails and one that is cancelled."""
    long = {"max_output_tokens": 3000, "solar": {"progress": True, "resumable": True}}
    connection.create(stream_id="a", **long)
    connection.receive_until("response.in_progress")
    connection.create(stream_id="b", **long)
    # With --ws-max-waiting 0, no request may wait. The error about this request comes after the response of lane "a".
    connection.create(stream_id="a", **long)
    ended = [connection.receive_until(*TERMINALS)["type"] for _ in range(3)]
    assert sorted(ended) == ["error", "response.failed", "response.failed"]
    connection.create(max_output_tokens=3000)
    connection.receive_until("response.in_progress")
    connection.send("response.cancel")
    connection.receive_until("response.incomplete")


def collect_log_line(names, line):
    line = re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", "TIME ", line)
    line = re.sub(r"\breq_[0-9a-f]{16}\b", "REQUEST", line)
    line = re.sub(r"(REQUEST) (GET|POST) (/\S+) (\d{3})", r"\1 METHOD PATH STATUS", line)
    if "REQUEST" in line:
        names.add("lines of the log", re.sub(r"\b\d+\b", "N", line))


class Manager:
    """The service manager's socket. A thread reads the datagrams, because the socket's queue is short."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.received = []
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while (text := self.socket.recv(4096)) != b"end":
            self.received.append(text.decode())

    def collect(self, names):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"end", str(self.path))
        self.thread.join()
        self.socket.close()
        names.add("notifications of the service manager", *(re.sub(r"\d\d+|\d(?= )", "N", one) for one in self.received))


def collect(folder):
    names = Names()
    collect_options(names)
    collect_environment_of_the_sources(names)
    collect_exit_codes(names, folder)
    collect_errors(names)
    for name in ("demo", "keys", "endless"):
        (folder / name).mkdir()
    with running_server(folder / "demo", "--metrics-compat", "vllm", "--allowed-origins", ORIGIN) as server:
        collect_answers(names, server)
        collect_socket(names, server)
        collect_metrics(names, server)
    collect_refusals_of_keys(names, folder / "keys")
    manager = Manager(folder / "notify")
    with environment({"NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "200000"}):
        collect_failures(names, folder / "endless", manager)
    return names.text()


def entries(text):
    """Returns each name of the list, with the title of its section before it."""
    found, section = [], ""
    for line in filter(None, text.splitlines()):
        if line.startswith("# "):
            section = line.removeprefix("# ")
        else:
            found.append(f"{section}: {line}")
    return found


def test_public_names_are_those_of_the_list(tmp_path):
    found, listed = entries(collect(tmp_path)), entries(LIST.read_text())
    missing = [f"missing: {name}" for name in listed if name not in found]
    new = [f"new: {name}" for name in found if name not in listed]
    if missing or new:
        pytest.fail("\n".join([*missing, *new, HINT]), pytrace=False)


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit(f"usage: {sys.argv[0]} --write")
    with tempfile.TemporaryDirectory() as scratch:
        LIST.write_text(collect(pathlib.Path(scratch)))
