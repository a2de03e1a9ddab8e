"""The server with systemd: the tests act as the service manager, and systemd checks the unit file."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from support import (
    BINARY,
    DEADLINE,
    ROOT,
    get_json,
    make_key,
    require,
    run_solard,
    running_server,
    start_solard,
    wait_until,
)

UNIT = ROOT / "config/systemd/solard.service"
QUIET_SECONDS = 1  # a running process would send ten datagrams in this time


class Manager:
    """A notify socket, and a solard process that has the address of the socket."""

    def __init__(self, folder, abstract, *flags, watchdog_usec=None):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(DEADLINE)
        path = f"\0solard-test-{os.getpid()}-{folder.name}" if abstract else str(folder / "notify")
        self.socket.bind(path)
        environment = os.environ | {"NOTIFY_SOCKET": path.replace("\0", "@")}
        if watchdog_usec:
            environment["WATCHDOG_USEC"] = str(watchdog_usec)
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([BINARY, "--port", "0", "--device", "cpu", *flags], stdout=log, stderr=log, env=environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.socket.close()

    def receive(self):
        return self.socket.recv(4096).decode()

    def receive_until(self, wanted):
        """Returns all datagrams up to the first one that has the wanted line."""
        found = [self.receive()]
        while wanted not in found[-1].splitlines():
            found.append(self.receive())
        return found


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_notify_socket_sees_loading_ready_and_stopping(tmp_path, abstract):
    with Manager(tmp_path, abstract) as manager:
        start = manager.receive_until("READY=1")
        assert any(re.fullmatch(r"STATUS=loading: \d+ %", one) for one in start)
        assert any(one.startswith("EXTEND_TIMEOUT_USEC=") for one in start)
        assert "WATCHDOG=1" not in start
        assert manager.receive() == "STATUS=ready: 0 running, 0 waiting"
        manager.process.send_signal(signal.SIGTERM)
        end = manager.receive_until("STOPPING=1")
        assert not any(one.startswith("READY") for one in end)
        assert manager.receive() == "STATUS=draining: 0 answers in flight"
        assert manager.process.wait(DEADLINE) == 0


def test_watchdog_is_fed_while_the_process_runs_and_not_while_it_is_stopped(tmp_path):
    with Manager(tmp_path, False, watchdog_usec=200_000) as manager:
        manager.receive_until("READY=1")
        manager.receive_until("WATCHDOG=1")
        manager.process.send_signal(signal.SIGSTOP)
        os.waitpid(manager.process.pid, os.WUNTRACED)  # returns when the process is stopped
        manager.socket.setblocking(False)
        with pytest.raises(BlockingIOError):  # reads the datagrams that were sent before the process was stopped
            while True:
                manager.receive()
        manager.socket.settimeout(QUIET_SECONDS)
        with pytest.raises(TimeoutError):
            manager.receive()
        manager.process.send_signal(signal.SIGCONT)
        manager.socket.settimeout(DEADLINE)
        manager.receive_until("WATCHDOG=1")


def test_watchdog_is_fed_as_often_as_the_manager_asks(tmp_path):
    with Manager(tmp_path, False, watchdog_usec=20_000) as manager:
        manager.receive_until("READY=1")
        end = time.monotonic() + DEADLINE
        for _ in range(100):  # at one datagram per second, this would take longer than DEADLINE
            manager.receive_until("WATCHDOG=1")
            assert time.monotonic() < end


def test_watchdog_for_another_process_is_not_fed(tmp_path, monkeypatch):
    monkeypatch.setenv("WATCHDOG_PID", "1")
    with Manager(tmp_path, False, watchdog_usec=20_000) as manager:
        manager.receive_until("READY=1")
        manager.process.send_signal(signal.SIGTERM)
        assert "WATCHDOG=1" not in manager.receive_until("STOPPING=1")


def test_missing_notify_socket_is_logged_once_and_ignored(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    log = tmp_path / "log"
    process = start_solard(log, "--log-level", "debug")
    wait_until(lambda: "is ready" in log.read_text(), "the banner")
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE) == 0
    assert log.read_text().count("systemd cannot be notified: No such file or directory") == 1


def test_key_file_from_a_credential_is_accepted(tmp_path, monkeypatch):
    keys = tmp_path / "credentials/keys"
    keys.parent.mkdir()
    secret = make_key(keys, "alice")
    keys.chmod(0o440)  # as systemd's credential files; their group bits show the mask of an ACL
    monkeypatch.setenv("SOLARD_API_KEY_FILE", str(keys))
    refused = run_solard("--port", "0")
    assert (refused.returncode, str(keys) in refused.stderr) == (78, True)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(keys.parent))
    with running_server(tmp_path, api_key=secret) as server:
        assert get_json(server.base_url + "/models", secret)[0] == 200
        assert get_json(server.base_url + "/models")[0] == 401


@pytest.mark.parametrize("with_keys", [False, True], ids=["as-shipped", "with-keys"])
def test_systemd_accepts_the_unit_and_rates_it_as_well_confined(tmp_path, with_keys):
    require(shutil.which("systemd-analyze"), "systemd-analyze")
    text = UNIT.read_text().replace("/usr/bin/solard", "/bin/true")  # the program is not installed here
    if with_keys:
        text, count = re.subn(r"^#(?=(LoadCredential|Environment)=)", "", text, flags=re.MULTILINE)
        assert count == 2
    unit = tmp_path / "solard.service"
    unit.write_text(text)
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    exposure = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(unit)]
    done = subprocess.run(exposure, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-300:]


def test_unit_has_the_exit_codes_and_its_timeouts_exceed_the_drain():
    text = UNIT.read_text()
    assert re.search(r"^RestartPreventExitStatus=2 66 78$", text, re.MULTILINE)
    seconds = lambda name: int(re.search(rf"^{name}=(\d+)$", text, re.MULTILINE)[1])  # noqa: E731
    configuration = (ROOT / "config/solard.conf").read_text()
    default = lambda name: int(re.search(rf"^{name} = (\d+)$", configuration, re.MULTILINE)[1])  # noqa: E731
    assert seconds("TimeoutStopSec") > default("drain-timeout") + default("engine-timeout")
    assert seconds("WatchdogSec") > default("engine-timeout")
