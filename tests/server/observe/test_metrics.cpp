#include <array>
#include <boost/test/unit_test.hpp>

#include "server/observe/metrics_text.hpp"

namespace solard::server {
using namespace std::chrono_literals;

namespace {

bool has_line(const std::string& text, const std::string& line) {
    return text.find("\n" + line + "\n") != std::string::npos;
}

std::string text_of(const Metrics& metrics, bool vllm_names = false, std::string_view model = "m") {
    return metrics_text(metrics, {.version = "1", .model_name = model, .state = "ready", .engine = {}},
                        vllm_names);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(metrics)

BOOST_AUTO_TEST_CASE(value_equal_to_a_bound_is_counted_in_its_bucket) {
    static constexpr std::array bounds{1.0, 2.0};
    Histogram histogram(bounds);
    for (const double value : {0.5, 1.0, 1.5, 2.0, 2.5}) histogram.observe(value);
    histogram.observe(1.5, 3);
    BOOST_TEST(histogram.count_in(0) == 2);
    BOOST_TEST(histogram.count_in(1) == 5);
    BOOST_TEST(histogram.count_in(2) == 1);
    BOOST_TEST(histogram.sum() == 12);
}

BOOST_AUTO_TEST_CASE(histogram_has_cumulative_buckets_sum_and_count) {
    Metrics metrics;
    for (const double size : {1.0, 3.0, 5.0, 20'000.0}) metrics.answer_size.observe(size);
    const std::string text = text_of(metrics);
    const std::string name = "solard_request_generation_tokens";
    BOOST_TEST(has_line(text, "# TYPE " + name + " histogram"));
    BOOST_TEST(has_line(text, name + R"(_bucket{model_name="m",le="1"} 1)"));
    BOOST_TEST(has_line(text, name + R"(_bucket{model_name="m",le="2"} 1)"));
    BOOST_TEST(has_line(text, name + R"(_bucket{model_name="m",le="5"} 3)"));
    BOOST_TEST(has_line(text, name + R"(_bucket{model_name="m",le="10000"} 3)"));
    BOOST_TEST(has_line(text, name + R"(_bucket{model_name="m",le="+Inf"} 4)"));
    BOOST_TEST(has_line(text, name + R"(_sum{model_name="m"} 20009)"));
    BOOST_TEST(has_line(text, name + R"(_count{model_name="m"} 4)"));
}

BOOST_AUTO_TEST_CASE(times_of_a_request_are_counted_in_their_phases) {
    Metrics metrics;
    const Clock::time_point accepted{1h};
    RequestTimes times{.accepted = accepted};
    times.started = accepted + 1s;
    times.first_token = accepted + 3s;
    metrics.tokens(times, {}, accepted + 3s, 1);
    // Three tokens come together, 600 ms after the first token. They count as three gaps of 200 ms.
    metrics.tokens(times, accepted + 3s, accepted + 3600ms, 3);
    times.last_token = accepted + 3600ms;
    metrics.choice_ended(FinishReason::length);
    metrics.request_ended(times, 7, 4, accepted + 4s);
    BOOST_TEST(metrics.first_token.sum() == 3);
    BOOST_TEST(metrics.token_gap.count_in(6) == 3);  // the bucket up to 0.2 seconds
    BOOST_TEST(metrics.queue.sum() == 1);
    BOOST_TEST(metrics.prefill.sum() == 2);
    BOOST_TEST(metrics.decode.sum() == 0.6, boost::test_tools::tolerance(1e-9));
    BOOST_TEST(metrics.latency.sum() == 4);
    BOOST_TEST(metrics.inference.sum() == 3);
    const std::string text = text_of(metrics);
    BOOST_TEST(has_line(text, R"(solard_prompt_tokens_total{model_name="m"} 7)"));
    BOOST_TEST(has_line(text, R"(solard_request_success_total{model_name="m",finished_reason="length"} 1)"));
}

BOOST_AUTO_TEST_CASE(request_that_never_started_counts_only_as_waiting) {
    Metrics metrics;
    metrics.request_ended({.accepted = Clock::time_point{1h}}, 7, 0, Clock::time_point{1h} + 2s);
    BOOST_TEST(metrics.queue.sum() == 2);
    BOOST_TEST(metrics.latency.sum() == 2);
    for (const Histogram* none :
         {&metrics.prefill, &metrics.decode, &metrics.inference, &metrics.first_token})
        BOOST_TEST(none->sum() == 0);
}

BOOST_AUTO_TEST_CASE(tokens_that_arrive_with_the_first_one_have_a_gap_of_zero) {
    Metrics metrics;
    metrics.tokens({.accepted = Clock::time_point{1h}}, {}, Clock::time_point{1h} + 2s, 3);
    BOOST_TEST(metrics.first_token.sum() == 2);
    BOOST_TEST(metrics.token_gap.count_in(0) == 2);
    BOOST_TEST(metrics.token_gap.sum() == 0);
}

BOOST_AUTO_TEST_CASE(every_current_value_has_its_name_and_type) {
    const EngineSnapshot engine{.steps = 2,
                                .num_running = 3,
                                .num_waiting = 4,
                                .num_blocks = 8,
                                .num_free_blocks = 6,
                                .num_cached_blocks = 5,
                                .num_preemptions = 7,
                                .generated_tokens = 9,
                                .prefix_cache_queries = 12,
                                .prefix_cache_hits = 11,
                                .draft_tokens = 14,
                                .accepted_draft_tokens = 13,
                                .step_time = 1500ms,
                                .tokens_per_second = 2.5};
    const std::string text = metrics_text({},
                                          {.version = "1.2",
                                           .model_name = "m",
                                           .state = "ready",
                                           .engine = engine,
                                           .num_in_flight = 15,
                                           .log_lines_lost = 17,
                                           .process_start = 16.5},
                                          false);
    struct Family {
        std::string name;
        std::string type;
        std::string value;
        std::string label = "";
    };
    for (const auto& [name, type, value, label] :
         {Family{"num_requests_running", "gauge", "3"}, Family{"num_requests_waiting", "gauge", "4"},
          Family{"kv_cache_usage_perc", "gauge", "0.25"}, Family{"kv_cache_blocks", "gauge", "8"},
          Family{"kv_cache_blocks_cached", "gauge", "5"}, Family{"num_preemptions_total", "counter", "7"},
          Family{"prefix_cache_queries_total", "counter", "12"},
          Family{"prefix_cache_hits_total", "counter", "11"},
          Family{"generation_tokens_total", "counter", "9"},
          Family{"spec_decode_num_draft_tokens_total", "counter", "14"},
          Family{"spec_decode_num_accepted_tokens_total", "counter", "13"},
          Family{"engine_steps_total", "counter", "2"}, Family{"engine_step_seconds", "gauge", "1.5"},
          Family{"tokens_per_second", "gauge", "2.5"}, Family{"answers_in_flight", "gauge", "15"},
          Family{"log_lines_lost_total", "counter", "17"},
          Family{"process_start_time_seconds", "gauge", "16.5"},
          Family{"build_info", "gauge", "1", R"(,version="1.2")"}}) {
        BOOST_TEST_CONTEXT(name) {
            BOOST_TEST(has_line(text, "# TYPE solard_" + name + " " + type));
            BOOST_TEST(has_line(text, "solard_" + name + R"({model_name="m")" + label + "} " + value));
        }
    }
}

BOOST_AUTO_TEST_CASE(every_distribution_has_its_name) {
    Metrics metrics;
    const Clock::time_point accepted{1h};
    const RequestTimes times{.accepted = accepted,
                             .started = accepted + 1s,
                             .first_token = accepted + 3s,
                             .last_token = accepted + 7s};
    metrics.tokens(times, {}, accepted + 3s, 1);
    metrics.tokens(times, accepted + 3s, accepted + 7s, 2);
    metrics.request_ended(times, 17, 18, accepted + 16s);
    const std::string text = text_of(metrics);
    for (const auto& [name, sum] : {std::pair<std::string, std::string>{"time_to_first_token_seconds", "3"},
                                    {"inter_token_latency_seconds", "4"},
                                    {"e2e_request_latency_seconds", "16"},
                                    {"request_queue_time_seconds", "1"},
                                    {"request_inference_time_seconds", "15"},
                                    {"request_prefill_time_seconds", "2"},
                                    {"request_decode_time_seconds", "4"},
                                    {"request_prompt_tokens", "17"},
                                    {"request_generation_tokens", "18"}})
        BOOST_TEST(has_line(text, "solard_" + name + R"(_sum{model_name="m"} )" + sum), name);
}

// Dashboards compute quantiles over solard and vLLM servers together. For this, the bucket bounds of both
// must be the same.
BOOST_AUTO_TEST_CASE(bucket_bounds_are_those_of_vllm) {
    const std::string text = text_of({});
    const auto bounds_of = [&](const std::string& name) {
        const std::string start = "\nsolard_" + name + R"(_bucket{model_name="m",le=")";
        std::string bounds;
        for (auto at = text.find(start); at != std::string::npos; at = text.find(start, at + 1)) {
            const auto bound = at + start.size();
            bounds += text.substr(bound, text.find('"', bound) - bound) + " ";
        }
        return bounds;
    };
    BOOST_TEST(bounds_of("time_to_first_token_seconds") ==
               "0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 20 40 80 160 640 2560 "
               "+Inf ");
    BOOST_TEST(bounds_of("inter_token_latency_seconds") ==
               "0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1 2.5 5 7.5 10 20 40 80 +Inf ");
    for (const std::string phase : {"e2e_request_latency", "request_queue_time", "request_inference_time",
                                    "request_prefill_time", "request_decode_time"})
        BOOST_TEST(bounds_of(phase + "_seconds") ==
                   "0.3 0.5 0.8 1 1.5 2 2.5 5 10 15 20 30 40 50 60 120 240 480 960 1920 7680 +Inf ");
}

BOOST_AUTO_TEST_CASE(choices_are_counted_by_their_finish_reason) {
    Metrics metrics;
    const std::array ends{FinishReason::stop, FinishReason::length, FinishReason::cancelled,
                          FinishReason::error};
    for (std::size_t i = 0; i < ends.size(); ++i)
        for (std::size_t times = 0; times <= i; ++times) metrics.choice_ended(ends[i]);
    const std::string text = text_of(metrics);
    const std::string start = R"(solard_request_success_total{model_name="m",finished_reason=")";
    BOOST_TEST(has_line(text, start + R"(stop"} 1)"));
    BOOST_TEST(has_line(text, start + R"(length"} 2)"));
    BOOST_TEST(has_line(text, start + R"(abort"} 3)"));
    BOOST_TEST(has_line(text, start + R"(error"} 4)"));
}

BOOST_AUTO_TEST_CASE(vllm_names_are_added_with_the_same_values) {
    Metrics metrics;
    metrics.choice_ended(FinishReason::cancelled);
    BOOST_TEST(text_of(metrics).find("vllm:") == std::string::npos);
    const std::string both = text_of(metrics, true);
    BOOST_TEST(has_line(both, "# TYPE vllm:request_success_total counter"));
    BOOST_TEST(has_line(both, R"(vllm:request_success_total{model_name="m",finished_reason="abort"} 1)"));
    BOOST_TEST(has_line(both, R"(solard_request_success_total{model_name="m",finished_reason="abort"} 1)"));
    BOOST_TEST(both.find("vllm:build_info") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(labels_are_escaped_and_errors_are_labelled_with_their_code) {
    Metrics metrics;
    metrics.error(errc::invalid_value);
    metrics.http_answer(400);
    metrics.http_answer(400);
    const std::string text = text_of(metrics, false, "a\"b\\c\nd");
    const std::string model = R"({model_name="a\"b\\c\nd")";
    BOOST_TEST(has_line(text, "# TYPE solard_request_errors_total counter"));
    BOOST_TEST(has_line(text, "# TYPE solard_http_requests_total counter"));
    BOOST_TEST(has_line(text, "solard_request_errors_total" + model + R"(,code="invalid_value"} 1)"));
    BOOST_TEST(has_line(text, "solard_http_requests_total" + model + R"(,status="400"} 2)"));
    BOOST_TEST(has_line(text, "solard_state" + model + R"(,state="ready"} 1)"));
    BOOST_TEST(has_line(text, "solard_state" + model + R"(,state="draining"} 0)"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
