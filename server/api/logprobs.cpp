#include "server/api/logprobs.hpp"

#include <algorithm>

#include "inference/detokenizer.hpp"
#include "server/api/json.hpp"

namespace solard {
namespace {

// OpenAI's stand-in for minus infinity, which JSON cannot say.
constexpr float least_logprob = -9999.0F;

// Without the closing brace.
void append_entry(std::string& out, const Tokenizer& tokenizer, TokenLogprob entry) {
    const std::string_view bytes = tokenizer.bytes_of(entry.token);
    out += R"({"token":)";
    append_json_string(out, valid_utf8(bytes));
    out += R"(,"logprob":)";
    append_json_number(out, std::max(entry.logprob, least_logprob));
    out += R"(,"bytes":[)";
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i > 0) out += ',';
        append_json_number(out, std::int64_t{static_cast<unsigned char>(bytes[i])});
    }
    out += ']';
}

}  // namespace

void append_chat_logprobs(std::string& out, const Tokenizer& tokenizer,
                          std::span<const TokenLogprob> logprobs, std::int32_t num_alternatives) {
    if (logprobs.empty()) {
        out += "null";
        return;
    }
    const auto stride = static_cast<std::size_t>(num_alternatives) + 1;
    out += R"({"content":[)";
    for (std::size_t token = 0; token < logprobs.size(); token += stride) {
        if (token > 0) out += ',';
        append_entry(out, tokenizer, logprobs[token]);
        out += R"(,"top_logprobs":[)";
        for (std::size_t i = 1; i < stride; ++i) {
            if (i > 1) out += ',';
            append_entry(out, tokenizer, logprobs[token + i]);
            out += '}';
        }
        out += "]}";
    }
    out += R"(],"refusal":null})";
}

}  // namespace solard
