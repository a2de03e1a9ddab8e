#include "server/observe/metrics.hpp"

namespace solard::server {
namespace {

double seconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

}  // namespace

void Metrics::tokens(const RequestTimes& times, Clock::time_point previous, Clock::time_point now,
                     std::uint32_t count) {
    if (previous == Clock::time_point{}) {
        first_token.observe(seconds(times.accepted, now));
        // The first token has no gap before it. Tokens that arrived together with it have a gap of 0.
        --count;
        if (count > 0) token_gap.observe(0, count);
    } else {
        token_gap.observe(seconds(previous, now) / count, count);
    }
}

void Metrics::request_ended(const RequestTimes& times, std::size_t prompt_tokens,
                            std::size_t generated_tokens, Clock::time_point now) {
    latency.observe(seconds(times.accepted, now));
    queue.observe(seconds(times.accepted, times.started == Clock::time_point{} ? now : times.started));
    if (times.started != Clock::time_point{}) inference.observe(seconds(times.started, now));
    if (times.first_token != Clock::time_point{}) {
        prefill.observe(seconds(times.started, times.first_token));
        decode.observe(seconds(times.first_token, times.last_token));
    }
    prompt_size.observe(static_cast<double>(prompt_tokens));
    answer_size.observe(static_cast<double>(generated_tokens));
    prompt_tokens_ += prompt_tokens;
}

}  // namespace solard::server
