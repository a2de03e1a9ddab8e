#include "server/api/logprobs.hpp"

#include <algorithm>
#include <functional>
#include <string_view>
#include <vector>

#include "inference/text/utf8.hpp"
#include "server/api/json.hpp"

namespace solard::server {
namespace {

// OpenAI writes -9999 instead of minus infinity, which JSON cannot represent.
constexpr float least_logprob = -9999.0F;

std::string completion_name(std::string_view bytes) {
    if (std::string text = valid_utf8(bytes); text == bytes) return text;
    std::string name = "bytes:";
    for (const char byte : bytes) {
        name += "\\x";
        append_hex(name, byte);
    }
    return name;
}

// Appends {"token":logprob,...} with the token itself and its alternatives.
void append_alternatives(std::string& out, const Tokenizer& tokenizer,
                         std::span<const TokenLogprob> entries) {
    std::vector<TokenLogprob> sorted(entries.begin(), entries.end());
    std::ranges::sort(sorted, std::ranges::greater{}, &TokenLogprob::logprob);
    std::vector<std::string> names;
    out += '{';
    for (const TokenLogprob& entry : sorted) {
        std::string name = completion_name(tokenizer.bytes_of(entry.token));
        if (std::ranges::find(names, name) != names.end()) continue;
        if (!names.empty()) out += ',';
        append_json_string(out, name);
        out += ':';
        append_json_number(out, std::max(entry.logprob, least_logprob));
        names.push_back(std::move(name));
    }
    out += '}';
}

// Appends one entry without its closing brace.
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

// Appends the entry of one token and the entries of its alternatives.
void append_logprob(std::string& out, const Tokenizer& tokenizer, TokenLogprobs entries) {
    append_entry(out, tokenizer, entries.front());
    out += R"(,"top_logprobs":)";
    append_list(out, entries.size() - 1, [&](std::string& list, std::size_t i) {
        append_entry(list, tokenizer, entries[i + 1]);
        list += '}';
    });
    out += '}';
}

// Appends a list with one item per token. `append(out, entries)` appends the item of the token that has
// `entries`.
template <class Out, class Function>
void append_per_token(Out& out, const TokenLogprobs& logprobs, std::int32_t num_alternatives,
                      Function append) {
    const auto stride = static_cast<std::size_t>(num_alternatives) + 1;
    const std::size_t count = logprobs.empty() ? 0 : logprobs.size() / stride;
    append_list(out, count, [&logprobs, stride, append](std::string& list, std::size_t i) mutable {
        append(list, logprobs.subspan(i * stride, stride));
    });
}

}  // namespace

template <class Out>
void append_logprob_list(Out& out, const Tokenizer& tokenizer, const TokenLogprobs& logprobs,
                         std::int32_t num_alternatives) {
    append_per_token(out, logprobs, num_alternatives, [&tokenizer](std::string& list, TokenLogprobs entries) {
        append_logprob(list, tokenizer, entries);
    });
}

template <class Out>
void append_chat_logprobs(Out& out, const Tokenizer& tokenizer, const TokenLogprobs& logprobs,
                          std::int32_t num_alternatives) {
    if (logprobs.empty()) {
        tail_of(out) += "null";
        return;
    }
    tail_of(out) += R"({"content":)";
    append_logprob_list(out, tokenizer, logprobs, num_alternatives);
    tail_of(out) += R"(,"refusal":null})";
}

template <class Out>
void append_completion_logprobs(Out& out, const Tokenizer& tokenizer, const TokenLogprobs& logprobs,
                                std::int32_t num_alternatives, std::size_t text_offset) {
    if (logprobs.empty()) {
        tail_of(out) += "null";
        return;
    }
    tail_of(out) += R"({"tokens":)";
    append_per_token(out, logprobs, num_alternatives, [&tokenizer](std::string& list, TokenLogprobs entries) {
        append_json_string(list, completion_name(tokenizer.bytes_of(entries.front().token)));
    });
    tail_of(out) += R"(,"token_logprobs":)";
    append_per_token(out, logprobs, num_alternatives, [](std::string& list, TokenLogprobs entries) {
        append_json_number(list, std::max(entries.front().logprob, least_logprob));
    });
    tail_of(out) += R"(,"top_logprobs":)";
    append_per_token(out, logprobs, num_alternatives, [&tokenizer](std::string& list, TokenLogprobs entries) {
        append_alternatives(list, tokenizer, entries);
    });
    tail_of(out) += R"(,"text_offset":)";
    append_per_token(out, logprobs, num_alternatives,
                     [&tokenizer, text_offset](std::string& list, TokenLogprobs entries) mutable {
                         append_json_number(list, static_cast<std::int64_t>(text_offset));
                         text_offset += count_characters(tokenizer.bytes_of(entries.front().token));
                     });
    tail_of(out) += '}';
}

template void append_logprob_list(std::string&, const Tokenizer&, const TokenLogprobs&, std::int32_t);
template void append_logprob_list(Document&, const Tokenizer&, const TokenLogprobs&, std::int32_t);
template void append_chat_logprobs(std::string&, const Tokenizer&, const TokenLogprobs&, std::int32_t);
template void append_chat_logprobs(Document&, const Tokenizer&, const TokenLogprobs&, std::int32_t);
template void append_completion_logprobs(std::string&, const Tokenizer&, const TokenLogprobs&, std::int32_t,
                                         std::size_t);
template void append_completion_logprobs(Document&, const Tokenizer&, const TokenLogprobs&, std::int32_t,
                                         std::size_t);

std::size_t num_characters(const Tokenizer& tokenizer, std::span<const TokenLogprob> logprobs,
                           std::int32_t num_alternatives) {
    std::size_t sum = 0;
    const auto stride = static_cast<std::size_t>(num_alternatives) + 1;
    for (std::size_t token = 0; token < logprobs.size(); token += stride)
        sum += count_characters(tokenizer.bytes_of(logprobs[token].token));
    return sum;
}

}  // namespace solard::server
