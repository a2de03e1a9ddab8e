"""Executes the examples of server/ws/PROTOCOL.md with the real server, and checks the tables of that page.

An example is a fenced block after `<!-- example: NAME FLAGS -->`. The flag `solar` opens the WebSocket with the
subprotocol solar.responses.v1. The flag `endless` chooses a model whose answers run until max_output_tokens. The page
describes the lines of a block and its placeholders.
"""

import collections
import contextlib
import json
import re

import pytest

from support import DEADLINE, ROOT, client_library, run_solard

connect = client_library("websockets.sync.client").connect

PAGE = (ROOT / "server/ws/PROTOCOL.md").read_text()
BLOCK = re.compile(r"^<!-- example: (\S+)([^\n]*) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = {name: (set(flags.split()), body) for name, flags, body in BLOCK.findall(PAGE)}
ANY = "..."
DELTA = "response.output_text.delta"
TERMINALS = {"response.completed", "response.incomplete", "response.failed", "error"}
DEPENDS_ON_TIME = {"response.queued", "keepalive", "solar:progress"}  # ignored unless the example expects the event


def lines_of(body):
    """Returns [(mark, text)]. A line which begins with two spaces continues the line above it."""
    lines = []
    for line in body.splitlines():
        if line.startswith("  "):
            lines[-1][1] += line.strip()
        else:
            lines.append([line[0], line[2:]])
    assert {mark for mark, _ in lines} <= set("><*"), "a line must begin with '> ', '< ', '* ' or two spaces"
    return lines


class Dialogue:
    """Plays the client's part of one example."""

    def __init__(self, url, subprotocols):
        self.url = url
        self.subprotocols = subprotocols
        self.names = {}  # values of the placeholders "$name"
        self.socket = None

    def connect(self, stack):
        """Opens a socket. If there already is one, it is closed first."""
        stack.close()
        # With the library's default limit of unread messages, closing could wait in vain for the server's close frame.
        opening = connect(self.url, subprotocols=self.subprotocols, open_timeout=DEADLINE, max_queue=None)
        self.socket = stack.enter_context(opening)
        # Maps a lane (a stream_id) to the line of the example that the lane's next deltas must match. The line's member
        # `delta` is the text which has not arrived yet.
        self.deltas = {}

    def play(self, lines):
        with contextlib.ExitStack() as stack:
            self.connect(stack)
            expected = []
            for mark, text in lines:
                if mark == "<":
                    expected.append(json.loads(text))
                    continue
                self.receive(expected)
                expected = []
                if mark == ">":
                    self.socket.send(re.sub(r'"\$(\w+)"', lambda found: json.dumps(self.names[found[1]]), text))
                else:
                    self.connect(stack)
            self.receive(expected)
            with pytest.raises(TimeoutError):
                print("the page does not have", self.socket.recv(timeout=0.2))

    def receive(self, expected):
        """Receives events until every expected one has come. Lanes may interleave; within a lane the order is fixed."""
        lanes = collections.defaultdict(collections.deque)
        for line in expected:
            lanes[line.get("stream_id")].append(line)
        while any(lanes.values()):
            event = json.loads(self.socket.recv(timeout=DEADLINE))
            lane = event.get("stream_id")
            lines = lanes[lane]
            if event["type"] == DELTA and self.deltas.get(lane, {}).get("delta"):
                self.receive_delta(lane, event)
                continue
            if lines and lines[0]["type"] == ANY:
                if event["type"] != lines[1]["type"]:
                    assert event["type"] not in TERMINALS, f"the page does not have this event: {event}"
                    continue
                lines.popleft()
            if event["type"] in DEPENDS_ON_TIME and not (lines and lines[0]["type"] == event["type"]):
                continue
            assert lines, f"the page does not have this event: {event}"
            self.receive_first(lane, lines.popleft(), event)

    def receive_first(self, lane, line, event):
        """Compares an event with the next line of its lane."""
        text_left = self.deltas.pop(lane, {}).get("delta", "")
        assert text_left in ("", ANY), f"no delta had the text {text_left!r} of the page"
        if line["type"] == event["type"] == DELTA:
            self.deltas[lane] = line
            self.receive_delta(lane, event)
        else:
            self.compare(line, event, event["type"])

    def receive_delta(self, lane, event):
        """Compares a delta with its line of the page. One line stands for several successive deltas."""
        line = self.deltas[lane]
        self.compare(line | {"delta": ANY}, event, DELTA)
        if line["delta"] != ANY:
            assert line["delta"].startswith(event["delta"]), f"{event['delta']!r} is not the start of {line['delta']!r}"
            self.deltas[lane] = line | {"delta": line["delta"].removeprefix(event["delta"])}

    def compare(self, expected, actual, path):
        if expected == ANY:
            return
        if isinstance(expected, str) and expected.startswith("$"):
            expected = self.names.setdefault(expected[1:], actual)
        if isinstance(expected, dict) and isinstance(actual, dict):
            missing, more = expected.keys() - actual.keys() - {ANY}, actual.keys() - expected.keys()
            assert not missing, f"{path} has no {missing}: {actual}"
            assert not more or ANY in expected, f"{path} has {more}, which the page does not have: {actual}"
            for name in expected.keys() - {ANY}:
                self.compare(expected[name], actual[name], f"{path} {name}")
        elif isinstance(expected, list) and isinstance(actual, list):
            assert len(expected) == len(actual), f"{path} is {actual}, but the page has {expected}"
            for i, (one, other) in enumerate(zip(expected, actual)):
                self.compare(one, other, f"{path}[{i}]")
        else:
            assert expected == actual, f"{path} is {actual!r}, but the page has {expected!r}"


def test_page_has_examples():
    assert len(EXAMPLES) >= 5
    assert PAGE.count("<!-- example:") == len(EXAMPLES), "an example has no block, or two have the same name"


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_what_the_server_sends(request, name):
    flags, body = EXAMPLES[name]
    assert flags <= {"solar", "endless"}
    server = request.getfixturevalue("endless_server" if "endless" in flags else "server")
    url = server.base_url.replace("http", "ws") + "/responses"
    Dialogue(url, ["solar.responses.v1"] if "solar" in flags else None).play(lines_of(body))
    server.wait_until_idle()


def test_table_of_errors_has_the_statuses_of_the_server():
    rows = re.findall(r'ErrorInfo\{\s*errc::\w+,\s*(\d+),\s*"?\w+"?,\s*"(\w+)"', (ROOT / "server/api/error.cpp").read_text())
    status_of = {code: status for status, code in rows}
    table = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (\d{3}) \|", PAGE, re.MULTILINE)
    codes = {code: status for cell, status in table for code in re.findall(r"\w+", cell)}
    assert len(codes) > 20
    assert codes == {code: status_of.get(code) for code in codes}


def test_options_exist_and_have_the_defaults_of_the_page():
    help_text = run_solard("--help").stdout
    options = set(re.findall(r"--[a-z][a-z-]+", PAGE))
    assert {option for option in options if f"  {option} " not in help_text} == set()
    table = re.findall(r"^\|.*\| `(--[a-z-]+)` \| (\S+) \|", PAGE, re.MULTILINE)
    assert len(table) > 10
    for option, default in table:
        described = re.search(rf"^  {option} .*", help_text, re.MULTILINE)[0]
        assert described.endswith(f"({default})"), described
