// The times at which a request reached its stages in the engine.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "inference/request.hpp"

namespace solard::server {

// The engine takes the times of tokens at the end of its steps. The server may deliver several steps at the
// same moment, so the moment of delivery says nothing about the speed.
struct RequestTimes {
    Clock::time_point accepted{};
    Clock::time_point started{};      // when the request left the queue; the clock's epoch if never
    Clock::time_point first_token{};  // the clock's epoch if there was no token
    Clock::time_point last_token{};
    std::uint32_t num_first_tokens = 0;  // tokens which the step of the first token generated
};

// Returns the tokens per second after the first step, or nullopt if all tokens come from one step.
// `num_tokens` is the number of all tokens.
inline std::optional<double> tokens_per_second(const RequestTimes& times, std::uint32_t num_tokens) {
    const std::chrono::duration<double> span = times.last_token - times.first_token;
    if (span.count() <= 0) return std::nullopt;
    return (num_tokens - times.num_first_tokens) / span.count();
}

}  // namespace solard::server
