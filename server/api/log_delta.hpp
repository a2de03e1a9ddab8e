// What a response's log tells a reader of one output.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "inference/request.hpp"

namespace solard::server {

// Which of the request's stops ended an output; -1: none of them did.
struct StopMatch {
    std::int32_t index = -1;  // into Request::stop
    TokenId token = -1;       // of Request::stop_token_ids
};

// What is new for one output since the last read: unread entries merge into one.
struct LogDelta {
    std::uint32_t output = 0;
    std::string_view text = {};  // valid until the log grows, as are the logprobs
    std::uint32_t num_tokens = 0;
    FinishReason finish = FinishReason::none;
    StopMatch stop = {};
    // For each token its own and then its alternatives, also where its text is still held back.
    std::span<const TokenLogprob> logprobs = {};
    std::span<const TokenId> token_ids = {};  // if the log keeps them; also where their text is held back
};

}  // namespace solard::server
