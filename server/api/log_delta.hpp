// The part of a generation's log which a reader has not read yet, for one output.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "inference/request.hpp"

namespace solard::server {

// Names the stop string or the stop token which ended an output. A member which does not apply is -1.
struct StopMatch {
    std::int32_t index = -1;  // index into Request::stop
    TokenId token = -1;       // one of Request::stop_token_ids
};

// The text and tokens which one output has got since the last read. Several unread entries are merged into
// one delta.
struct LogDelta {
    std::uint32_t output = 0;
    std::string_view text = {};  // valid until the log grows, and so are `logprobs` and `token_ids`
    std::uint32_t num_tokens = 0;
    FinishReason finish = FinishReason::none;
    StopMatch stop = {};
    // Contains for each token its own entry, followed by the entries of its alternatives. Also contains the
    // entries of tokens whose text is still held back because it may begin a stop string.
    std::span<const TokenLogprob> logprobs = {};
    std::span<const TokenId> token_ids =
        {};  // empty unless the log keeps token ids; includes tokens whose text is held back
    // Contains for each token of the prompt but the first its own entry, followed by the entries of its
    // alternatives. The prompt comes before the first generated token.
    std::span<const RankedLogprob> prompt_logprobs = {};
};

}  // namespace solard::server
