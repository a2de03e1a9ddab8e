#include "server/api/logprobs.hpp"

#include <algorithm>
#include <functional>
#include <string_view>
#include <vector>

#include "inference/text/utf8.hpp"
#include "server/api/json.hpp"

namespace solard::server {
namespace {

// OpenAI writes this for minus infinity, which JSON does not have.
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

}  // namespace

void append_logprob_list(std::string& out, const Tokenizer& tokenizer, std::span<const TokenLogprob> logprobs,
                         std::int32_t num_alternatives) {
    const auto stride = static_cast<std::size_t>(num_alternatives) + 1;
    out += '[';
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
    out += ']';
}

void append_chat_logprobs(std::string& out, const Tokenizer& tokenizer,
                          std::span<const TokenLogprob> logprobs, std::int32_t num_alternatives) {
    if (logprobs.empty()) {
        out += "null";
        return;
    }
    out += R"({"content":)";
    append_logprob_list(out, tokenizer, logprobs, num_alternatives);
    out += R"(,"refusal":null})";
}

void append_completion_logprobs(std::string& out, const Tokenizer& tokenizer,
                                std::span<const TokenLogprob> logprobs, std::int32_t num_alternatives,
                                std::size_t text_offset) {
    if (logprobs.empty()) {
        out += "null";
        return;
    }
    const auto stride = static_cast<std::size_t>(num_alternatives) + 1;
    const auto append_list = [&](std::string_view name, auto&& append) {
        out.append("\"").append(name).append("\":[");
        for (std::size_t token = 0; token < logprobs.size(); token += stride) {
            if (token > 0) out += ',';
            append(logprobs.subspan(token, stride));
        }
        out += ']';
    };
    using Entries = std::span<const TokenLogprob>;
    out += '{';
    append_list("tokens", [&](Entries entries) {
        append_json_string(out, completion_name(tokenizer.bytes_of(entries.front().token)));
    });
    out += ',';
    append_list("token_logprobs", [&](Entries entries) {
        append_json_number(out, std::max(entries.front().logprob, least_logprob));
    });
    out += ',';
    append_list("top_logprobs", [&](Entries entries) { append_alternatives(out, tokenizer, entries); });
    out += ',';
    append_list("text_offset", [&](Entries entries) {
        append_json_number(out, static_cast<std::int64_t>(text_offset));
        text_offset += count_characters(tokenizer.bytes_of(entries.front().token));
    });
    out += '}';
}

std::size_t num_characters(const Tokenizer& tokenizer, std::span<const TokenLogprob> logprobs,
                           std::int32_t num_alternatives) {
    std::size_t sum = 0;
    const auto stride = static_cast<std::size_t>(num_alternatives) + 1;
    for (std::size_t token = 0; token < logprobs.size(); token += stride)
        sum += count_characters(tokenizer.bytes_of(logprobs[token].token));
    return sum;
}

}  // namespace solard::server
