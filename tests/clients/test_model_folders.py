"""Model folders that differ from the demonstration model's: their defaults, context, architecture and name."""

import json
import shutil
import urllib.request

import pytest

from support import DEADLINE, ROOT, get_json, run_solard

DEMO = ROOT / "config/demo-model"
STORY = "Tell me a story about a fox."
SEEDS = range(1, 6)


def write_folder(folder, config=None, generation=None):
    """Copies the demonstration model with changes of config.json and generation_config.json; None removes a key."""
    shutil.copytree(DEMO, folder)
    for name, changes in (("config.json", config or {}), ("generation_config.json", generation or {})):
        path = folder / name
        content = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return str(folder)


def post(server, path, body):
    data = json.dumps(body).encode()
    request = urllib.request.Request(server.root_url + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=DEADLINE) as response:
        return json.load(response)


def chat(server, **fields):
    answer = post(server, "/v1/chat/completions", {"messages": [{"role": "user", "content": STORY}]} | fields)
    return answer["choices"][0]["message"]["content"], answer["usage"]["completion_tokens"]


def complete(server, **fields):
    prompt = f"### User:\n{STORY}\n\n### Assistant:\n"
    answer = post(server, "/v1/completions", {"prompt": prompt} | fields)
    return answer["choices"][0]["text"], answer["usage"]["completion_tokens"]


def respond(server, **fields):
    if "max_tokens" in fields:
        fields["max_output_tokens"] = fields.pop("max_tokens")
    answer = post(server, "/v1/responses", {"input": STORY} | fields)
    return answer["output"][0]["content"][0]["text"], answer["usage"]["output_tokens"]


ROUTES = [chat, complete, respond]


@pytest.mark.parametrize("name, greedy, random", [("temperature", 0, 2), ("top_p", 0, 1), ("top_k", 1, 0), ("min_p", 1, 0)])
def test_defaults_of_the_folder_hold_on_every_route_and_the_request_wins(start_server, tmp_path, name, greedy, random):
    others = {} if name == "temperature" else {"temperature": 2}
    model = write_folder(tmp_path / "model", generation={name: greedy})
    with start_server("--model", model) as server:
        assert get_json(server.base_url + "/metadata")[1]["defaults"][name] == greedy
        for route in ROUTES:
            expected = route(server, temperature=0, max_tokens=12)
            for seed in SEEDS:
                assert route(server, seed=seed, max_tokens=12, **others) == expected
            answers = [route(server, seed=seed, max_tokens=12, **{name: random}, **others) for seed in SEEDS]
            assert any(answer != expected for answer in answers), f"{name} {random} of a request was ignored"


def test_repetition_penalty_of_the_folder_holds_unless_the_request_has_one(start_server, tmp_path):
    model = write_folder(tmp_path / "model", generation={"repetition_penalty": 2.0})
    with start_server() as demo:
        plain = [route(demo, temperature=0, max_tokens=60) for route in ROUTES]
        penalized = [route(demo, temperature=0, max_tokens=60, repetition_penalty=2) for route in ROUTES]
    assert all(one != other for one, other in zip(plain, penalized))
    with start_server("--model", model) as server:
        assert [route(server, temperature=0, max_tokens=60) for route in ROUTES] == penalized
        assert [route(server, temperature=0, max_tokens=60, repetition_penalty=1) for route in ROUTES] == plain


def test_max_new_tokens_is_the_bound_of_requests_without_one(start_server, tmp_path):
    model = write_folder(tmp_path / "model", generation={"max_new_tokens": 3})
    with start_server("--model", model) as server:
        assert get_json(server.base_url + "/metadata")[1]["defaults"]["max_tokens"] == 3
        for route in (chat, respond):
            assert route(server, temperature=0)[1] == 3
            assert route(server, temperature=0, max_tokens=5)[1] == 5
            assert route(server, temperature=0, max_tokens=-1)[1] > 5
            assert route(server, temperature=0, min_tokens=4)[1] == 4
        for fields, shown in (({}, 3), ({"max_output_tokens": 5}, 5), ({"max_output_tokens": -1}, None)):
            response = post(server, "/v1/responses", {"input": STORY, "temperature": 0} | fields)
            assert response["max_output_tokens"] == shown
        assert complete(server, temperature=0)[1] == 16  # OpenAI's default on this route


def test_settings_without_effect_are_named_in_the_log(start_server, tmp_path):
    model = write_folder(tmp_path / "model", generation={"eos_token_id": [2, 99999], "num_beams": 4, "use_cache": True})
    with start_server("--model", model) as server:
        assert chat(server, temperature=0, max_tokens=500)[1] < 500
        log = server.log()
        assert "num_beams 4" in log and "eos_token_id 99999" in log
        assert "use_cache" not in log


def refusal(*flags):
    """Starts a server that must refuse its configuration, and returns its message."""
    done = run_solard("--device", "cpu", "--port", "0", *flags)
    assert done.returncode == 78, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_context_above_the_models_is_refused_with_the_limit():
    message = refusal("--max-model-len", "4097")
    assert "--max-model-len is 4097" in message and "--max-model-len to at most 4096" in message


def test_mistral_is_served_within_its_sliding_window(start_server, tmp_path):
    mistral = {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 512}
    model = write_folder(tmp_path / "model", mistral)
    message = refusal("--model", model)
    assert "sliding window of 512 tokens" in message and "--max-model-len to at most 512" in message
    with start_server() as demo:
        expected = chat(demo, temperature=0)
    with start_server("--model", model, "--max-model-len", "512") as windowed:
        assert get_json(windowed.base_url + "/models")[1]["data"][0]["max_model_len"] == 512
        assert chat(windowed, temperature=0) == expected
    config = tmp_path / "model/config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"sliding_window": None}))
    with start_server("--model", model) as unlimited:
        assert get_json(unlimited.base_url + "/models")[1]["data"][0]["max_model_len"] == 4096
        assert chat(unlimited, temperature=0) == expected


def test_scaled_rope_is_served_as_far_as_it_is_computed(start_server, tmp_path):
    dynamic = {"rope_scaling": {"type": "dynamic", "factor": 2.0}}
    model = write_folder(tmp_path / "dynamic", dynamic)
    message = refusal("--model", model, "--max-model-len", "8192")
    assert "dynamic RoPE scaling" in message and "at most 4096" in message
    with start_server() as demo:
        expected = chat(demo, temperature=0)
    with start_server("--model", model) as plain:
        assert chat(plain, temperature=0) == expected
    # Every plane rotates four times more slowly than in the model's training, so its answer changes.
    model = write_folder(tmp_path / "linear", {"rope_scaling": {"rope_type": "linear", "factor": 4.0}})
    with start_server("--model", model, "--max-model-len", "5000") as scaled:
        assert chat(scaled, temperature=0, max_tokens=100) != expected


def test_folder_of_the_cache_has_its_published_name(start_server, tmp_path):
    model = write_folder(tmp_path / "models--some-org--Some-Model/snapshots/0a1b2c")
    with start_server("--model", model) as server:
        assert [model["id"] for model in get_json(server.base_url + "/models")[1]["data"]] == ["some-org/Some-Model"]
        assert chat(server, model="some-org/Some-Model", temperature=0, max_tokens=2)[1] == 2
