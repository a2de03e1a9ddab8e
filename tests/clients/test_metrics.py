"""/metrics, read by the parser of Prometheus."""

import os
import pathlib
import re

from support import client_library

parser = client_library("prometheus_client.parser")
requests = client_library("requests")

CHAT = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0}


def scrape(server):
    answer = requests.get(server.root_url + "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in parser.text_string_to_metric_families(answer.text)}


def value(families, name, **labels):
    samples = [sample for family in families.values() for sample in family.samples if sample.name == name]
    wanted = [one.value for one in samples if labels.items() <= one.labels.items()]
    assert len(wanted) <= 1
    return wanted[0] if wanted else 0


def growth(before, after, name, **labels):
    return value(after, name, **labels) - value(before, name, **labels)


def test_counters_grow_with_the_requests(server):
    before = scrape(server)
    answers = [requests.post(server.base_url + "/chat/completions", json=CHAT | {"n": 2}).json() for _ in range(3)]
    requests.post(server.base_url + "/chat/completions", json=CHAT | {"n": 0})
    after = scrape(server)
    assert growth(before, after, "solard_request_success_total", finished_reason="stop") == 6
    assert growth(before, after, "solard_prompt_tokens_total") == sum(a["usage"]["prompt_tokens"] for a in answers)
    tokens = sum(a["usage"]["completion_tokens"] for a in answers)
    assert growth(before, after, "solard_generation_tokens_total") == tokens
    assert growth(before, after, "solard_request_generation_tokens_sum") == tokens
    # No latency between tokens is counted for the first token of each of the six choices.
    assert growth(before, after, "solard_time_to_first_token_seconds_count") == 6
    assert growth(before, after, "solard_inter_token_latency_seconds_count") == tokens - 6
    assert growth(before, after, "solard_e2e_request_latency_seconds_count") == 3
    assert growth(before, after, "solard_http_requests_total", status="200") == 4  # including the first scrape
    assert growth(before, after, "solard_request_errors_total", code="invalid_value") == 1
    cached = sum(a["usage"]["prompt_tokens_details"]["cached_tokens"] for a in answers)
    assert growth(before, after, "solard_prefix_cache_hits_total") == cached > 0


def test_histograms_are_consistent_and_phases_add_up(server):
    requests.post(server.base_url + "/chat/completions", json=CHAT)
    families = scrape(server)
    histograms = [family for family in families.values() if family.type == "histogram"]
    assert len(histograms) >= 9
    for family in histograms:
        buckets = [sample.value for sample in family.samples if sample.name.endswith("_bucket")]
        assert buckets == sorted(buckets)
        assert buckets[-1] == value(families, family.name + "_count")
    parts = ("queue", "prefill", "decode")
    phases = sum(value(families, f"solard_request_{part}_time_seconds_sum") for part in parts)
    assert 0 < phases <= value(families, "solard_e2e_request_latency_seconds_sum") * 1.001


def test_idle_server_reports_zero_and_ready(server):
    server.wait_until_idle()
    families = scrape(server)
    for name in ("num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "answers_in_flight"):
        assert value(families, "solard_" + name) == 0
    states = {sample.labels["state"]: sample.value for sample in families["solard_state"].samples}
    assert states == {"starting": 0, "ready": 1, "draining": 0, "failed": 0}


def test_requests_cannot_add_label_values(server):
    before = scrape(server)
    for number in range(10):
        assert requests.get(f"{server.root_url}/stray-{number}").status_code == 404
    text = requests.get(server.root_url + "/metrics").text
    assert "stray" not in text
    after = scrape(server)
    assert growth(before, after, "solard_http_requests_total", status="404") == 10
    assert growth(before, after, "solard_request_errors_total", code="not_found") == 10
    own_labels = {
        "solard_request_success": {"finished_reason"}, "solard_request_errors": {"code"},
        "solard_http_requests": {"status"}, "solard_state": {"state"}, "solard_build_info": {"version"},
    }  # fmt: skip
    for family in after.values():
        for sample in family.samples:
            bucket = {"le"} if sample.name.endswith("_bucket") else set()
            assert sample.labels.keys() == {"model_name"} | own_labels.get(family.name, set()) | bucket
            assert sample.labels["model_name"] == server.model
    reasons = {sample.labels["finished_reason"] for sample in after["solard_request_success"].samples}
    assert reasons == {"stop", "length", "abort", "error"}


def test_every_family_is_declared_once_with_its_type(server):
    text = requests.get(server.root_url + "/metrics").text
    told = [re.findall(rf"^# {what} (\S+)", text, re.MULTILINE) for what in ("HELP", "TYPE")]
    assert told[0] == told[1] == list(dict.fromkeys(told[0]))
    series = [line.rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
    assert len(series) == len(set(series))
    families = parser.text_string_to_metric_families(text)
    assert all(family.type in ("gauge", "counter", "histogram") for family in families)


def test_process_metrics_agree_with_the_kernel(server):
    families = scrape(server)
    pages = int(pathlib.Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    resident = pages * os.sysconf("SC_PAGE_SIZE")
    assert resident / 2 < value(families, "solard_process_resident_memory_bytes") < resident * 2
    assert value(families, "solard_process_cpu_seconds_total") > 0


def test_metrics_compat_adds_vllms_names_with_equal_values(start_server, server):
    assert not any(name.startswith("vllm:") for name in scrape(server))
    with start_server("--metrics-compat", "vllm") as both:
        requests.post(both.base_url + "/chat/completions", json=CHAT)
        families = scrape(both)
        names = {name.removeprefix("vllm:") for name in families if name.startswith("vllm:")}
        assert {
            "num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "num_preemptions", "prompt_tokens",
            "generation_tokens", "time_to_first_token_seconds", "inter_token_latency_seconds", "request_success",
            "e2e_request_latency_seconds", "request_queue_time_seconds", "prefix_cache_queries", "prefix_cache_hits",
        } <= names  # fmt: skip
        for name in names:
            ours, theirs = families["solard_" + name], families["vllm:" + name]
            assert [(s.labels, s.value) for s in ours.samples] == [(s.labels, s.value) for s in theirs.samples]
        assert {sample.labels["model_name"] for sample in families["vllm:num_requests_running"].samples} == {both.model}
