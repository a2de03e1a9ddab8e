"""The command line: what it prints, which errors it reports, and how the process ends."""

import json
import os
import re
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from support import DEADLINE, get_json, require, run_solard, start_solard, wait_until

STREAM = {"messages": [{"role": "user", "content": "Go on."}], "temperature": 0, "stream": True}


def refused(code, *arguments):
    """Checks that a run ends with the exit code and exactly one line on stderr, and returns that line."""
    done = run_solard(*arguments)
    lines = done.stderr.strip().splitlines()
    assert (done.returncode, len(lines)) == (code, 1), done.stderr
    return lines[0]


def test_version_is_printed():
    done = run_solard("--version")
    assert done.returncode == 0
    assert re.fullmatch(r"solard \d+\.\d+\.\d+.*", done.stdout.splitlines()[0])


def test_help_names_the_options():
    done = run_solard("--help")
    assert done.returncode == 0
    for option in ("--model", "--port", "--device", "--kv-cache-memory", "--drain-timeout", "--config"):
        assert option in done.stdout
    assert done.stderr == ""


def test_list_devices_includes_the_cpu():
    done = run_solard("--list-devices")
    assert done.returncode == 0
    assert re.search(r"^cpu\b", done.stdout, re.MULTILINE)


def test_unknown_flag_suggests_the_closest_one():
    assert re.search(r"prot.*did you mean.*port", refused(2, "--prot", "8000"))


def test_bad_values_name_the_option():
    assert re.search(r"port.*65535.*'99999'", refused(2, "--port", "99999"))
    assert re.search(r"device.*auto\|cpu\|cuda", refused(2, "--device", "tpu"))


def test_missing_or_wrong_configuration_is_named(tmp_path):
    missing = tmp_path / "none.conf"
    assert str(missing) in refused(78, "--config", str(missing))
    wrong = tmp_path / "wrong.conf"
    wrong.write_text("port = 8000\nprot = 1\n")
    line = refused(78, "--config", str(wrong))
    assert f"{wrong}:2" in line and "prot" in line


def test_port_in_use_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert str(port) in refused(1, "--port", str(port), "--log-level", "error").replace(",", "")


def test_missing_model_folder_is_named(tmp_path):
    missing = tmp_path / "no-model"
    assert str(missing) in refused(66, "--model", str(missing))


def copy_of(folder, target):
    for path in folder.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def test_truncated_weights_are_refused(endless_model, tmp_path):
    weights = copy_of(endless_model, tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-2])
    assert "model.safetensors" in refused(66, "--model", str(tmp_path), "--port", "0", "--log-level", "error")


@pytest.mark.parametrize(
    "file, before, after, named",
    [
        ("config.json", "LlamaForCausalLM", "GPT2LMHeadModel", "GPT2LMHeadModel"),
        ("config.json", '"bos_token_id": 1', '"bos_token_id": 0', "bos_token_id"),
        ("tokenizer_config.json", "{% endfor %}", "", "--chat-template"),
    ],
)
def test_unsupported_model_is_refused_with_file_and_reason(endless_model, tmp_path, file, before, after, named):
    target = copy_of(endless_model, tmp_path) / file
    text = target.read_text()
    assert before in text
    target.write_text(text.replace(before, after))
    line = refused(66, "--model", str(tmp_path), "--port", "0")
    assert file in line and named in line


def test_everything_that_is_wrong_with_a_folder_is_said_at_once(endless_model, tmp_path):
    weights = copy_of(endless_model, tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-2])
    (tmp_path / "tokenizer.model").write_text("damaged")
    done = run_solard("--model", str(tmp_path), "--port", "0")
    lines = done.stderr.splitlines()
    assert done.returncode == 66 and len(lines) == 2, done.stderr
    assert lines[0].startswith("solard: ") and "model.safetensors" in lines[0] and "download it again" in lines[0]
    assert lines[1].startswith("solard: ") and "tokenizer.model" in lines[1]


def test_name_of_the_hub_is_served_from_the_cache(start_server, endless_model, tmp_path, monkeypatch):
    entry = tmp_path / "models--me--endless"
    snapshot = entry / "snapshots/0123abcd"
    snapshot.mkdir(parents=True)
    for path in endless_model.iterdir():
        (snapshot / path.name).symlink_to(path)
    (entry / "refs").mkdir()
    (entry / "refs/main").write_text("0123abcd")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("me/endless", str(entry)):
        with start_server("--model", name) as server:
            assert get_json(server.base_url + "/health/ready")[0] == 200


def test_unknown_name_of_the_hub_says_how_to_download_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    line = refused(66, "--model", "me/no-such-model")
    assert "hf download me/no-such-model" in line and str(tmp_path) in line


def set_weights(folder, name, half):
    """Sets every element of a tensor in bf16 to the value with these bits."""
    with (folder / "model.safetensors").open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        begin, end = json.loads(file.read(length))[name]["data_offsets"]
        file.seek(8 + length + begin)
        file.write(half.to_bytes(2, "little") * ((end - begin) // 2))


@pytest.mark.parametrize(
    "name, half, messages",
    [
        ("model.layers.3.mlp.up_proj.weight", 0x7FC0, ("model.layers.3.mlp.up_proj.weight", "NaN")),
        # These weights are finite, but the sum of a row of lm_head is not.
        ("model.norm.weight", 0x7F7F, ("self-test", "not finite")),
    ],
)
def test_model_that_cannot_compute_ends_before_it_is_ready(endless_model, tmp_path, name, half, messages):
    set_weights(copy_of(endless_model, tmp_path), name, half)
    done = run_solard("--model", str(tmp_path), "--port", "0", "--device", "cpu")
    assert done.returncode == 66, done.stderr
    assert all(message in done.stderr for message in messages), done.stderr
    assert "is ready" not in done.stdout


def test_lm_head_of_its_own_is_reported_for_a_tied_model(start_server, endless_model, tmp_path):
    folder = tmp_path / "tied"
    folder.mkdir()
    config = copy_of(endless_model, folder) / "config.json"
    config.write_text(config.read_text().replace('"tie_word_embeddings": false', '"tie_word_embeddings": true'))
    with start_server("--model", str(folder)) as server:
        for line in ("the stored lm_head.weight differs", "self-test of the model passed in"):
            wait_until(lambda: line in server.log(), "the line of the log")


def test_cuda_without_a_device_is_refused():
    require(not Path("/dev/nvidia0").exists(), "a machine without an NVIDIA device")
    refused(69, "--device", "cuda")


def test_public_address_without_keys_needs_allow_anonymous():
    assert "--allow-anonymous" in refused(78, "--host", "0.0.0.0", "--port", "0")


def begin_stream(server, max_tokens):
    """Starts a stream and returns it after its first event."""
    request = urllib.request.Request(
        server.base_url + "/chat/completions",
        json.dumps({**STREAM, "max_tokens": max_tokens}).encode(),
        {"Content-Type": "application/json"},
    )
    stream = urllib.request.urlopen(request, timeout=DEADLINE)
    assert stream.readline().startswith(b"data: {")
    return stream


def test_sigterm_lets_a_running_stream_finish(start_server, endless_model):
    with start_server("--model", str(endless_model)) as server:
        stream = begin_stream(server, 200)
        server.process.send_signal(signal.SIGTERM)
        rest = stream.read()
        assert rest.endswith(b"data: [DONE]\n\n")
        assert rest.count(b'"finish_reason":"length"') == 1
        assert server.process.wait(DEADLINE) == 0


def test_drain_timeout_ends_unfinished_streams(start_server, endless_model):
    with start_server("--model", str(endless_model), "--drain-timeout", "0.2") as server:
        stream = begin_stream(server, 3500)
        server.process.send_signal(signal.SIGTERM)
        rest = stream.read()
        assert b"[DONE]" not in rest
        assert b'"code":"server_draining"' in rest
        assert server.process.wait(DEADLINE) == 0


def test_a_second_sigterm_ends_streams_with_an_error_and_exits_with_75(start_server, endless_model):
    with start_server("--model", str(endless_model)) as server:
        stream = begin_stream(server, 3500)
        server.process.send_signal(signal.SIGTERM)
        # The kernel merges two pending signals of the same kind. So the test sends the second signal only after the
        # server has handled the first signal.
        wait_until(lambda: get_json(server.base_url + "/health/ready")[0] != 200, "the drain")
        server.process.send_signal(signal.SIGTERM)
        rest = stream.read()
        assert b"[DONE]" not in rest
        assert b'"code":"server_draining"' in rest
        assert server.process.wait(DEADLINE) == 75


def test_banner_names_model_device_and_addresses(server):
    banner = server.log()
    device = os.environ.get("SOLARD_TEST_DEVICE", "cpu")
    for fact in (server.model, device, "tokens", server.root_url, server.base_url):
        assert fact in banner


def test_sigterm_ends_an_idle_server(start_server):
    with start_server() as server:
        assert server.terminate() == 0


def test_sigterm_while_the_model_loads(tmp_path, endless_model):
    process = start_solard(tmp_path / "solard.log", "--model", str(endless_model))
    try:
        wait_until(lambda: (tmp_path / "solard.log").read_text(), "the first line of output")
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) in (0, -signal.SIGTERM), (tmp_path / "solard.log").read_text()
    finally:
        process.kill()


def test_allowing_all_origins_logs_a_warning(start_server):
    with start_server("--allowed-origins", "*") as server:
        assert "warning --allowed-origins *" in server.log()
