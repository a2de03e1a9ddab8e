"""The server under attack, as a process of its own with limits, output and keys as a row needs them."""

import contextlib
import fcntl
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import time
import urllib.request

TICKS = os.sysconf("SC_CLK_TCK")
START_LIMIT = 10  # seconds
PIPE_SIZE = 65_536


class DidNotStart(Exception):
    pass


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def full_pipe():
    """Returns the two ends of a pipe that nobody reads and that has no room left."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    os.write(writer, b"x" * PIPE_SIZE)
    return reader, writer


def unread_pipe():
    """Returns the two ends of a pipe that nobody reads."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    return reader, writer


class Server:
    """Starts `binary` and waits until it is ready.

    `outputs` maps "stdout" and "stderr" to "unread" (a pipe that nobody reads), "full" (which is full already) or
    "closed" (a pipe whose reader is gone); without an entry, the output goes to a file. `key_names` are the names of the
    API keys that the server has. `limits` are resource limits of the process, and `environment` is added to its own.
    """

    def __init__(self, binary, model, folder, flags=(), outputs=None, key_names=(), limits=(), environment=None):
        self.port = free_port()
        self.binary, self.folder = binary, folder
        self.log_path = folder / "log"
        self.keys = {name: self._make_key(name) for name in key_names}
        command = [binary, "--model", model, "--port", str(self.port), "--device", "cpu", "--threads", "1", *flags]
        if key_names:
            command += ["--api-key-file", str(folder / "keys")]
        self._kept = []  # file descriptors that must stay open as long as the server runs
        files = {name: self._output(name, kind) for name, kind in (outputs or {}).items()}
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=files.get("stdout", log), stderr=files.get("stderr", log), stdin=subprocess.DEVNULL, env=os.environ | (environment or {}),
                preexec_fn=lambda: [resource.setrlimit(*limit) for limit in limits],
            )  # fmt: skip
        for descriptor in files.values():
            os.close(descriptor)
        self.pid = self.process.pid
        self._wait_until_ready()

    def _make_key(self, name):
        command = [self.binary, "keygen", "--name", name, "--api-key-file", str(self.folder / "keys")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def _output(self, name, kind):
        reader, writer = full_pipe() if kind == "full" else unread_pipe()
        if kind == "closed":
            os.close(reader)
        else:
            self._kept.append(reader)
        return writer

    def _wait_until_ready(self):
        end = time.monotonic() + START_LIMIT
        while True:
            if self.process.poll() is not None:
                raise DidNotStart(f"the server ended with {self.process.returncode}: {self.log()[-300:]}")
            with contextlib.suppress(OSError):
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/health/ready", timeout=2):
                    return
            if time.monotonic() > end:
                self.kill()
                raise DidNotStart(f"the server did not answer within {START_LIMIT} s")
            time.sleep(0.02)

    def alive(self):
        return self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def cpu(self):
        """Returns the CPU seconds of all threads."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self):
        """Returns the bytes of anonymous memory of the process."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return 1024 * int(re.search(r"RssAnon:\s+(\d+)", status)[1])

    def virtual_memory(self):
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return 1024 * int(re.search(r"VmSize:\s+(\d+)", status)[1])

    def num_descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def limit(self, what, value):
        resource.prlimit(self.pid, what, (value, value))

    def signal(self, number):
        self.process.send_signal(number)

    def exit_code(self, seconds):
        """Returns the exit code, or None if the server still runs after so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends the server, whatever state it is in."""
        if self.alive():
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGTERM)
            if self.exit_code(5) is None:
                self.kill()
        for descriptor in self._kept:
            os.close(descriptor)
