// The counters and distributions that the server keeps about its requests.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string_view>

#include "inference/request.hpp"
#include "server/config/error.hpp"
#include "server/observe/histogram.hpp"
#include "server/observe/request_times.hpp"

namespace solard::server {

// The bounds of the buckets are vLLM's, because existing dashboards are made for them.
inline constexpr std::array first_token_bounds{0.001, 0.005, 0.01, 0.02,  0.04,  0.06,  0.08, 0.1,
                                               0.25,  0.5,   0.75, 1.0,   2.5,   5.0,   7.5,  10.0,
                                               20.0,  40.0,  80.0, 160.0, 640.0, 2560.0};
inline constexpr std::array token_gap_bounds{0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2,  0.3,  0.4, 0.5,
                                             0.75, 1.0,   2.5,  5.0,   7.5, 10.0, 20.0, 40.0, 80.0};
inline constexpr std::array latency_bounds{0.3,  0.5,   0.8,   1.0,   1.5,   2.0,    2.5,
                                           5.0,  10.0,  15.0,  20.0,  30.0,  40.0,   50.0,
                                           60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0};
inline constexpr std::array token_count_bounds{1.0,   2.0,   5.0,    10.0,   20.0,   50.0,   100.0,
                                               200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0};

// I/O thread only. The memory of this object is bounded, and none is allocated per token.
class Metrics {
  public:
    // Records `count` tokens of one choice that arrived together at `now`. `previous` is the time when the
    // previous tokens of this choice arrived, or the clock's epoch if the choice had no tokens before.
    void tokens(const RequestTimes& times, Clock::time_point previous, Clock::time_point now,
                std::uint32_t count);
    // Records that a choice ended.
    void choice_ended(FinishReason reason) { ++finished_[static_cast<std::size_t>(reason)]; }
    // Records that all choices of a request ended.
    void request_ended(const RequestTimes& times, std::size_t prompt_tokens, std::size_t generated_tokens,
                       Clock::time_point now);
    void http_answer(unsigned status) { ++answers_[status]; }
    void error(errc code) { ++errors_[code]; }
    // Records that a waiting request lost its place in the queue to a new request.
    void displaced() { ++displaced_; }

    std::uint64_t finished(FinishReason reason) const { return finished_[static_cast<std::size_t>(reason)]; }
    // The number of answers by HTTP status, and the number of errors by error code. The keys of both maps
    // come from fixed sets.
    const std::map<unsigned, std::uint64_t>& answers() const { return answers_; }
    const std::map<errc, std::uint64_t>& errors() const { return errors_; }
    std::uint64_t prompt_tokens() const { return prompt_tokens_; }
    std::uint64_t num_displaced() const { return displaced_; }

    Histogram first_token{first_token_bounds};
    Histogram token_gap{token_gap_bounds};
    Histogram latency{latency_bounds};
    Histogram queue{latency_bounds};
    Histogram prefill{latency_bounds};
    Histogram decode{latency_bounds};
    Histogram inference{latency_bounds};
    Histogram prompt_size{token_count_bounds};
    Histogram answer_size{token_count_bounds};

  private:
    std::array<std::uint64_t, 5> finished_{};  // by FinishReason
    std::map<unsigned, std::uint64_t> answers_;
    std::map<errc, std::uint64_t> errors_;
    std::uint64_t prompt_tokens_ = 0;
    std::uint64_t displaced_ = 0;
};

}  // namespace solard::server
