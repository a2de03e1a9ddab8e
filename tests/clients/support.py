"""Functions which the tests of real clients share, mainly to start the server under test as a process."""

import contextlib
import fcntl
import importlib.util
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("SOLARD_BINARY", ROOT / "build/release/solard"))
DEADLINE = 60  # seconds; long, so that a busy machine does not fail the tests


def require(condition, what):
    """Skips the test if the condition is false and names what is missing. With CI=true the test fails instead."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is missing; with CI=true no test may be skipped", pytrace=False)
    pytest.skip(f"{what} is missing", allow_module_level=True)


def client_library(name):
    """Imports and returns the module; if it is missing, skips or fails as `require` does."""
    try:
        found = importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the package that should contain the module
        found = False
    require(found, f"Python package {name} (tests/clients/requirements.txt)")
    return importlib.import_module(name)


def wait_until(condition, what, seconds=DEADLINE):
    """Calls `condition` until it returns a true value, and returns that value; fails after the deadline."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"timed out after {seconds} s while waiting for {what}"
        time.sleep(0.01)


def free_port():
    """Returns a port which is not in use now, for a server that is to be restarted on the same port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def get_json(url, api_key=None):
    """Returns (status, body) of a GET; the status is 0 if no server listens."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {api_key}"} if api_key else {})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except OSError:
        return 0, None


class Server:
    """A running solard. SDKs need `base_url`, browsers need `root_url`."""

    def __init__(self, process, log_path, api_key=None):
        self.api_key = api_key
        self.process = process
        self.log_path = log_path
        self.root_url = wait_until(self._address, "the banner's address")
        self.base_url = self.root_url + "/v1"
        self.port = int(self.root_url.rsplit(":", 1)[1])
        wait_until(self._ready, "readiness")
        self.model = get_json(self.base_url + "/models", api_key)[1]["data"][0]["id"]

    def _alive(self):
        assert self.process.poll() is None, f"solard ended with {self.process.returncode}:\n{self.log()}"

    def _address(self):
        self._alive()
        found = re.search(r"http://127\.0\.0\.1:\d+", self.log())
        return found and found[0]

    def _ready(self):
        self._alive()
        return get_json(self.base_url + "/health/ready")[0] == 200

    def log(self):
        return self.log_path.read_text(errors="replace")

    def engine(self):
        """Returns the engine's counters: num_running, num_waiting, free_blocks, num_blocks, generated_tokens."""
        return get_json(self.base_url + "/metadata", self.api_key)[1]["engine"]

    def wait_until_idle(self):
        def idle():
            now = self.engine()
            return now["num_running"] == 0 and now["num_waiting"] == 0 and now["free_blocks"] == now["num_blocks"]

        wait_until(idle, "an idle engine with every block free")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)


def start_solard(log_path, *flags):
    """Starts solard on a free port, with its output in log_path, and returns the process. The caller ends it.

    The server runs on the CPU unless the flags say otherwise: one server takes a GPU's memory, and tests start several.
    """
    if "--device" not in flags:
        flags = ("--device", "cpu", *flags)
    assert BINARY.exists(), f"{BINARY} does not exist: build first or set SOLARD_BINARY"
    with log_path.open("wb") as log:
        return subprocess.Popen([BINARY, "--port", "0", *flags], stdout=log, stderr=log, cwd=log_path.parent)


@contextlib.contextmanager
def running_server(folder, *flags, api_key=None):
    """Starts solard on a free port with the flags. `api_key` is one of its keys, if it has any.

    At the end the server must stop cleanly, unless the test has already ended it.
    """
    log_path = folder / "solard.log"
    process = start_solard(log_path, *flags)
    try:
        server = Server(process, log_path, api_key)
        yield server
        if process.poll() is None:
            code = server.terminate()
            assert code == 0, f"solard ended with exit code {code} after SIGTERM:\n{server.log()}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def make_key(path, name, limits=""):
    """Makes and returns a new API key, and appends its line to the file."""
    done = run_solard("keygen", "--name", name, "--api-key-file", str(path))
    assert done.returncode == 0, done.stderr
    if limits:
        path.write_text(path.read_text().rstrip("\n") + f" {limits}\n")
    return done.stdout.strip()


def run_solard(*arguments):
    """Runs solard, which must exit by itself before the deadline, and returns the completed process."""
    assert BINARY.exists(), f"{BINARY} does not exist: build first or set SOLARD_BINARY"
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, timeout=DEADLINE)


def node_version():
    """Returns the first number of node's version."""
    require(shutil.which("node"), "node")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return int(version.lstrip("v").split(".")[0])


def run_node_tests(folder, file, environment):
    """Runs `node --test` on a copy of `folder`'s file. The copy is beside its packages, where node looks for them."""
    modules = install_packages(folder)
    copy = shutil.copy(folder / file, modules / file)
    done = subprocess.run(
        ["node", "--test", "--test-reporter=spec", copy], env=os.environ | environment, cwd=modules, timeout=300
    )
    assert done.returncode == 0, f"{file} failed; its report is in the captured output"


def install_packages(folder):
    """Installs the packages of `folder`'s lock file, if they changed. Returns the path of the installation."""
    require(shutil.which("npm"), "node with npm")
    require(node_version() >= 18, "node 18 or newer")
    target = ROOT / "build/node" / folder.name
    target.mkdir(parents=True, exist_ok=True)
    with (target / "lock").open("w") as lock:  # ctest may run two test files at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install_once(folder, target)
    return target


def _install_once(folder, target):
    names = ("package.json", "package-lock.json", ".npmrc")
    stamp = target / "installed.txt"
    wanted = "".join((folder / name).read_text() for name in names)
    if stamp.exists() and stamp.read_text() == wanted:
        return
    for name in names:
        shutil.copy(folder / name, target / name)
    done = subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=target, capture_output=True, text=True)
    lacks_network = any(code in done.stderr for code in ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT"))
    require(done.returncode == 0 or not lacks_network, "a network for npm")
    assert done.returncode == 0, done.stderr
    stamp.write_text(wanted)
