"""A server whose stdout and stderr nobody reads: it must serve and stop as usual."""

import contextlib
import fcntl
import http.client
import os
import re
import resource
import signal
import socket
import subprocess
import threading
from pathlib import Path

from support import BINARY, DEADLINE, free_port, get_json, wait_until

LONG_PATH = "/" + "x" * 180  # makes long log lines, so that few requests suffice to fill the log
F_SETPIPE_SZ = 1031


class Sink:
    """A pipe with room for one page. Nobody reads it until `read_until` is called."""

    def __init__(self, full=False, closed=False):
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, F_SETPIPE_SZ, 4096)
        if full:
            os.write(self.writer, b"\n" * 4096)
        if closed:
            self.close_reader()

    def close_reader(self):
        os.close(self.reader)
        self.reader = None

    def read_until(self, pattern):
        """Reads until the pattern arrives, and returns the match."""
        text = b""
        while not (found := re.search(pattern, text)):
            piece = os.read(self.reader, 65536)
            assert piece, f"the output ended without {pattern}"
            text += piece
        return found

    def close(self):
        if self.reader is not None:
            self.close_reader()
        os.close(self.writer)


@contextlib.contextmanager
def server_with(stdout, stderr, prepare=None):
    """Starts a server with this output. Yields (process, port) once it is ready.

    `prepare` is called in the new process before it becomes the server.
    """
    port = free_port()
    command = [BINARY, "--port", str(port), "--device", "cpu"]
    process = subprocess.Popen(command, stdout=stdout, stderr=stderr, preexec_fn=prepare)
    try:
        wait_until(lambda: get_json(f"http://127.0.0.1:{port}/health")[0] == 200, "readiness")
        yield process, port
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def num_lost(port):
    """Returns the number of lost log lines, as the metric tells it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return int(float(re.search(r"^solard_log_lines_lost_total\{.*\} (\S+)$", text, re.M)[1]))


def fill_log(port):
    """Sends requests until the server has lost lines of its log, and returns how many it has lost."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    for _ in range(100):
        for _ in range(500):
            connection.request("GET", LONG_PATH)
            assert connection.getresponse().read()
        if lost := num_lost(port):
            connection.close()
            return lost
    raise AssertionError("no line was lost")


def assert_serves(port):
    """Asks for an answer of the model."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    body = '{"messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}'
    connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    assert response.status == 200, response.read()
    connection.close()


def assert_sigterm_drains(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 0


@contextlib.contextmanager
def sinks(**kind):
    stdout, stderr = Sink(**kind), Sink(**kind)
    try:
        yield stdout, stderr
    finally:
        stdout.close()
        stderr.close()


def test_server_serves_and_stops_while_nobody_reads_its_output():
    with sinks() as (stdout, stderr), server_with(stdout.writer, stderr.writer) as (process, port):
        assert fill_log(port) > 0
        assert_serves(port)
        assert_sigterm_drains(process)


def test_server_starts_and_stops_when_its_output_is_full_from_the_start():
    with sinks(full=True) as (stdout, stderr), server_with(stdout.writer, stderr.writer) as (process, port):
        assert_serves(port)
        assert_sigterm_drains(process)


def test_one_line_tells_how_many_lines_were_lost_once_the_reader_is_back():
    with sinks() as (stdout, stderr), server_with(stdout.writer, stderr.writer) as (process, port):
        lost = fill_log(port)
        notice = rb"Z warning (\d+) log lines were lost because stderr did not accept them\n"
        assert int(stderr.read_until(notice)[1]) >= lost
        # The log works again: the line of a new request arrives.
        assert get_json(f"http://127.0.0.1:{port}/v1/back-again")[0] == 404
        stderr.read_until(rb"/v1/back-again 404")
        threading.Thread(target=lambda: stderr.read_until(rb"draining"), daemon=True).start()
        assert_sigterm_drains(process)


def test_server_serves_and_drains_when_the_readers_of_its_output_have_ended():
    with sinks(closed=True) as (stdout, stderr), server_with(stdout.writer, stderr.writer) as (process, port):
        assert_serves(port)
        wait_until(lambda: num_lost(port) > 0, "lost lines")
        assert_sigterm_drains(process)


def test_closed_descriptors_are_not_taken_by_sockets():
    def close_output():
        os.close(1)
        os.close(2)

    with server_with(None, None, close_output) as (process, port):
        for descriptor in (1, 2):
            assert os.readlink(f"/proc/{process.pid}/fd/{descriptor}") == "/dev/null"
        assert_serves(port)
        assert_sigterm_drains(process)


def test_accept_failures_leave_one_line_per_second_that_counts_the_others(tmp_path):
    path = tmp_path / "log"
    with path.open("wb") as log, server_with(log, log) as (process, port):
        folder = Path(f"/proc/{process.pid}/fd")

        def lowest_free_descriptor():
            """Returns nothing while a connection of server_with() is still open."""
            links = {int(link.name): os.readlink(link) for link in folder.iterdir()}
            num_sockets = sum(target.startswith("socket:") for target in links.values())
            return next(number for number in range(len(links) + 1) if number not in links) if num_sockets == 1 else None

        # From now on there is no descriptor for a connection, and no idle connection which could be closed for it.
        limits = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        few = wait_until(lowest_free_descriptor, "the end of the connections")
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (few, limits[1]))
        client = socket.create_connection(("127.0.0.1", port))
        counted = r"Z warning accept failed: .+ \(\d+ similar lines were left out before this one\)\n"
        wait_until(lambda: re.search(counted, path.read_text()), "a line that counts others")
        plain = re.findall(r"Z warning accept failed: .+", path.read_text())
        assert sum("similar lines" not in line for line in plain) == 1
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, limits)
        client.close()
        wait_until(lambda: get_json(f"http://127.0.0.1:{port}/health")[0] == 200, "an answer")
        assert_sigterm_drains(process)
