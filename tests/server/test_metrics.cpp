#include <array>
#include <boost/test/unit_test.hpp>

#include "server/metrics_text.hpp"

using namespace solard;
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

BOOST_AUTO_TEST_CASE(a_value_that_equals_a_bound_falls_into_its_bucket) {
    static constexpr std::array bounds{1.0, 2.0};
    Histogram histogram(bounds);
    for (const double value : {0.5, 1.0, 1.5, 2.0, 2.5}) histogram.observe(value);
    histogram.observe(1.5, 3);
    BOOST_TEST(histogram.count_in(0) == 2);
    BOOST_TEST(histogram.count_in(1) == 5);
    BOOST_TEST(histogram.count_in(2) == 1);
    BOOST_TEST(histogram.sum() == 12);
}

BOOST_AUTO_TEST_CASE(a_histogram_is_told_cumulatively_with_sum_and_count) {
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

BOOST_AUTO_TEST_CASE(times_of_a_request_fall_into_their_phases) {
    Metrics metrics;
    const Clock::time_point accepted{1h};
    RequestTimes times{.accepted = accepted};
    times.started = accepted + 1s;
    times.first_token = accepted + 3s;
    metrics.tokens(times, {}, accepted + 3s, 1);
    // Three came together after 600 ms: 200 ms each.
    metrics.tokens(times, accepted + 3s, accepted + 3600ms, 3);
    times.last_token = accepted + 3600ms;
    metrics.choice_ended(FinishReason::length);
    metrics.request_ended(times, 7, 4, accepted + 4s);
    BOOST_TEST(metrics.first_token.sum() == 3);
    BOOST_TEST(metrics.token_gap.count_in(6) == 3);  // up to 0.2
    BOOST_TEST(metrics.queue.sum() == 1);
    BOOST_TEST(metrics.prefill.sum() == 2);
    BOOST_TEST(metrics.decode.sum() == 0.6, boost::test_tools::tolerance(1e-9));
    BOOST_TEST(metrics.latency.sum() == 4);
    BOOST_TEST(metrics.inference.sum() == 3);
    const std::string text = text_of(metrics);
    BOOST_TEST(has_line(text, R"(solard_prompt_tokens_total{model_name="m"} 7)"));
    BOOST_TEST(has_line(text, R"(solard_request_success_total{model_name="m",finished_reason="length"} 1)"));
}

BOOST_AUTO_TEST_CASE(a_request_that_never_started_waited_and_nothing_else) {
    Metrics metrics;
    metrics.request_ended({.accepted = Clock::time_point{1h}}, 7, 0, Clock::time_point{1h} + 2s);
    BOOST_TEST(metrics.queue.sum() == 2);
    BOOST_TEST(metrics.latency.sum() == 2);
    for (const Histogram* none :
         {&metrics.prefill, &metrics.decode, &metrics.inference, &metrics.first_token})
        BOOST_TEST(none->sum() == 0);
}

BOOST_AUTO_TEST_CASE(vllms_names_are_added_and_mean_the_same) {
    Metrics metrics;
    metrics.choice_ended(FinishReason::cancelled);
    BOOST_TEST(text_of(metrics).find("vllm:") == std::string::npos);
    const std::string both = text_of(metrics, true);
    BOOST_TEST(has_line(both, "# TYPE vllm:request_success_total counter"));
    BOOST_TEST(has_line(both, R"(vllm:request_success_total{model_name="m",finished_reason="abort"} 1)"));
    BOOST_TEST(has_line(both, R"(solard_request_success_total{model_name="m",finished_reason="abort"} 1)"));
    BOOST_TEST(both.find("vllm:build_info") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(labels_are_escaped_and_come_from_the_tables_of_codes) {
    Metrics metrics;
    metrics.error(errc::invalid_value);
    metrics.http_answer(400);
    metrics.http_answer(400);
    const std::string text = text_of(metrics, false, "a\"b\\c\nd");
    const std::string model = R"({model_name="a\"b\\c\nd")";
    BOOST_TEST(has_line(text, "solard_request_errors_total" + model + R"(,code="invalid_value"} 1)"));
    BOOST_TEST(has_line(text, "solard_http_requests_total" + model + R"(,status="400"} 2)"));
    BOOST_TEST(has_line(text, "solard_state" + model + R"(,state="ready"} 1)"));
    BOOST_TEST(has_line(text, "solard_state" + model + R"(,state="draining"} 0)"));
}

BOOST_AUTO_TEST_SUITE_END()
