// What a reader of a generation's log learns about one output.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "inference/request.hpp"

namespace solard::server {

// The stop string or stop token of the request which ended an output; -1: none did.
struct StopMatch {
    std::int32_t index = -1;  // in Request::stop
    TokenId token = -1;       // one of Request::stop_token_ids
};

// The news of one output since the last read. Several unread entries are merged into one delta.
struct LogDelta {
    std::uint32_t output = 0;
    std::string_view text = {};  // valid until the log grows, like logprobs and token_ids
    std::uint32_t num_tokens = 0;
    FinishReason finish = FinishReason::none;
    StopMatch stop = {};
    // For each token its own entry and then its alternatives, even if its text is still held back.
    std::span<const TokenLogprob> logprobs = {};
    std::span<const TokenId> token_ids =
        {};  // empty unless the log keeps them; complete even if text is held back
};

}  // namespace solard::server
