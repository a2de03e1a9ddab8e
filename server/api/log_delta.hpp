// The part of a generation's log which a reader has not read yet, for one output.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "inference/request.hpp"

namespace solard::server {

// Names the stop string or the stop token which ended an output. A member which does not apply is -1.
struct StopMatch {
    std::int32_t index = -1;  // index into Request::stop
    TokenId token = -1;       // one of Request::stop_token_ids
};

// A part of an output which may call tools: a message, or one call.
struct AnswerItem {
    enum class Kind : std::uint8_t { message, function_call, custom_call };
    Kind kind = Kind::message;
    std::string name = {};  // of the tool; empty for a message
    std::string id = {};    // of the call; empty for a message
    std::size_t begin = 0;  // where its content is in the output's text; for a call, these are the arguments
    std::size_t end = 0;
    bool is_complete = false;  // of a call: its arguments are complete
    bool is_call() const { return kind != Kind::message; }
};

// Returns the name of the member that has the content of a call.
inline std::string_view content_name(const AnswerItem& call) {
    return call.kind == AnswerItem::Kind::custom_call ? "input" : "arguments";
}

// The text and tokens which one output has got since the last read. Several unread entries are merged into
// one delta.
struct LogDelta {
    std::uint32_t output = 0;
    std::string_view text = {};  // valid until the log grows, and so are `logprobs` and `token_ids`
    std::uint32_t num_tokens = 0;
    FinishReason finish = FinishReason::none;
    StopMatch stop = {};
    // If the output may call tools: its items so far, and the index of the one to which `text` belongs. There
    // is none, and the index is -1, as long as the output has no text.
    std::span<const AnswerItem> items = {};
    std::ptrdiff_t item = -1;
    // Contains for each token its own entry, followed by the entries of its alternatives. Also contains the
    // entries of tokens whose text is still held back because it may begin a stop string.
    std::span<const TokenLogprob> logprobs = {};
    std::span<const TokenId> token_ids =
        {};  // empty unless the log keeps token ids; includes tokens whose text is held back
    // Contains for each token of the prompt but the first its own entry, followed by the entries of its
    // alternatives. The prompt comes before the first generated token.
    std::span<const RankedLogprob> prompt_logprobs = {};

    // Returns the content of an item, if `text` is the whole text of the output.
    std::string_view content_of(const AnswerItem& of) const {
        return text.substr(of.begin, of.end - of.begin);
    }
};

}  // namespace solard::server
