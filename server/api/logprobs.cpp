#include "server/api/logprobs.hpp"

#include <algorithm>
#include <array>
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
void append_alternatives(std::string& out, const TokenTexts& texts, std::span<const TokenLogprob> entries) {
    std::vector<TokenLogprob> sorted(entries.begin(), entries.end());
    std::erase_if(sorted, [](const TokenLogprob& entry) { return entry.token < 0; });
    std::ranges::sort(sorted, [](const TokenLogprob& a, const TokenLogprob& b) {
        return a.logprob != b.logprob ? a.logprob > b.logprob : a.token < b.token;
    });
    std::vector<std::string> names;
    out += '{';
    for (const TokenLogprob& entry : sorted) {
        std::string name = completion_name(texts.name_of(entry.token));
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
void append_entry(std::string& out, const TokenTexts& texts, TokenLogprob entry) {
    const std::string_view bytes = texts.bytes_of(entry.token);
    out += R"({"token":)";
    append_json_string(out, valid_utf8(texts.name_of(entry.token)));
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
void append_logprob(std::string& out, const TokenTexts& texts, TokenLogprobs entries) {
    append_entry(out, texts, entries.front());
    out += R"(,"top_logprobs":)";
    append_list(out, entries.size() - 1, [&](std::string& list, std::size_t i) {
        append_entry(list, texts, entries[i + 1]);
        list += '}';
    });
    out += '}';
}

// Appends the entries of one token of a prompt as an object whose members are named by the token ids. The
// token itself may be among its alternatives.
void append_ranked(std::string& out, const Tokenizer& tokenizer, RankedLogprobs entries) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const RankedLogprob& entry = entries[i];
        if (i > 0 && (entry.token == entries.front().token || entry.token < 0)) continue;
        out += i == 0 ? R"({")" : R"(,")";
        append_json_number(out, std::int64_t{entry.token});
        out += R"(":{"logprob":)";
        append_json_number(out, std::max(entry.logprob, least_logprob));
        out += R"(,"rank":)";
        append_json_number(out, std::int64_t{entry.rank});
        out += R"(,"decoded_token":)";
        append_json_string(out, valid_utf8(tokenizer.bytes_of(entry.token, false)));
        out += '}';
    }
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
void append_logprob_list(Out& out, const TokenTexts& texts, const TokenLogprobs& logprobs,
                         std::int32_t num_alternatives) {
    append_per_token(out, logprobs, num_alternatives, [texts](std::string& list, TokenLogprobs entries) {
        append_logprob(list, texts, entries);
    });
}

template <class Out>
void append_chat_logprobs(Out& out, const TokenTexts& texts, const TokenLogprobs& logprobs,
                          std::int32_t num_alternatives) {
    if (logprobs.empty()) {
        tail_of(out) += "null";
        return;
    }
    tail_of(out) += R"({"content":)";
    append_logprob_list(out, texts, logprobs, num_alternatives);
    tail_of(out) += R"(,"refusal":null})";
}

namespace {

// One token in the older form of completions. A token without entries has no log probability.
struct CompletionToken {
    TokenId token = -1;
    std::array<TokenLogprob, max_top_logprobs + 1> entries{};  // its own, then those of its alternatives
    std::size_t num_entries = 0;
};

template <class Entry>
CompletionToken token_at(std::span<const Entry> logprobs, std::size_t stride, std::size_t i,
                         std::size_t num_entries) {
    const auto entries = logprobs.subspan(i * stride, num_entries);
    CompletionToken token{.token = entries.front().token, .num_entries = num_entries};
    std::ranges::transform(entries, token.entries.begin(),
                           [](const Entry& entry) { return TokenLogprob{entry.token, entry.logprob}; });
    return token;
}

// The tokens of a delta in the order in which they are written. Reads the delta at each access, because a
// Document is rendered later.
class CompletionTokens {
  public:
    CompletionTokens(const LogDelta& delta, const CompletionLogprobsForm& form)
        : delta_(&delta),
          form_(form),
          num_entries_(static_cast<std::size_t>(form.num_alternatives) + 1),
          prompt_stride_(static_cast<std::size_t>(form.num_prompt_alternatives + 1)),
          num_first_(form.first_token ? 1 : 0),
          num_prompt_(prompt_stride_ > 0 ? delta.prompt_logprobs.size() / prompt_stride_ : 0),
          size_(num_first_ + num_prompt_ +
                (delta.logprobs.empty() ? 0 : delta.logprobs.size() / num_entries_)) {}
    std::size_t size() const { return size_; }
    bool is_first(std::size_t i) const { return i < num_first_; }
    bool is_in_answer(std::size_t i) const { return i >= num_first_ + num_prompt_; }
    CompletionToken operator[](std::size_t i) const {
        if (is_first(i)) return {.token = form_.first_token.value_or(-1)};
        if (!is_in_answer(i))
            return token_at(delta_->prompt_logprobs, prompt_stride_, i - num_first_, num_entries_);
        return token_at(delta_->logprobs, num_entries_, i - num_first_ - num_prompt_, num_entries_);
    }

  private:
    const LogDelta* delta_;
    CompletionLogprobsForm form_;
    std::size_t num_entries_;
    std::size_t prompt_stride_;
    std::size_t num_first_;
    std::size_t num_prompt_;
    std::size_t size_;
};

}  // namespace

template <class Out>
void append_completion_logprobs(Out& out, const TokenTexts& texts, const LogDelta& delta,
                                const CompletionLogprobsForm& form) {
    const CompletionTokens tokens(delta, form);
    if (tokens.size() == 0) {
        tail_of(out) += "null";
        return;
    }
    tail_of(out) += R"({"tokens":)";
    append_list(out, tokens.size(), [tokens, texts](std::string& list, std::size_t i) {
        append_json_string(list, completion_name(texts.name_of(tokens[i].token)));
    });
    tail_of(out) += R"(,"token_logprobs":)";
    append_list(out, tokens.size(), [tokens](std::string& list, std::size_t i) {
        const CompletionToken token = tokens[i];
        if (token.num_entries == 0) {
            list += "null";
        } else {
            append_json_number(list, std::max(token.entries.front().logprob, least_logprob));
        }
    });
    tail_of(out) += R"(,"top_logprobs":)";
    append_list(out, tokens.size(), [tokens, texts](std::string& list, std::size_t i) {
        const CompletionToken token = tokens[i];
        if (token.num_entries == 0) {
            list += "null";
        } else {
            append_alternatives(list, texts, std::span(token.entries).first(token.num_entries));
        }
    });
    tail_of(out) += R"(,"text_offset":)";
    const TokenTexts prompt_texts{texts.tokenizer, form.skip_special_in_prompt};
    append_list(out, tokens.size(),
                [tokens, texts, prompt_texts, where = form](std::string& list, std::size_t i) mutable {
                    const TokenId token = tokens[i].token;
                    if (tokens.is_in_answer(i)) {
                        append_json_number(list, static_cast<std::int64_t>(where.answer_offset));
                        where.answer_offset += count_characters(texts.bytes_of(token));
                        return;
                    }
                    const std::size_t num_dropped = where.prompt_offset > where.dropped_space ? 1 : 0;
                    append_json_number(list, static_cast<std::int64_t>(where.prompt_offset - num_dropped));
                    where.prompt_offset += tokens.is_first(i)
                                               ? where.first_token_characters
                                               : count_characters(prompt_texts.bytes_of(token));
                });
    tail_of(out) += '}';
}

template <class Out>
void append_prompt_logprobs(Out& out, const Tokenizer& tokenizer, const RankedLogprobs& logprobs,
                            std::int32_t num_alternatives, std::int32_t num_shown) {
    const auto stride = static_cast<std::size_t>(num_alternatives) + 1;
    const auto size = static_cast<std::size_t>(num_shown) + 1;
    append_list(out, 1 + logprobs.size() / stride,
                [&tokenizer, &logprobs, stride, size](std::string& list, std::size_t i) {
                    if (i == 0) {
                        list += "null";
                    } else {
                        append_ranked(list, tokenizer, logprobs.subspan((i - 1) * stride, size));
                    }
                });
}

template void append_logprob_list(std::string&, const TokenTexts&, const TokenLogprobs&, std::int32_t);
template void append_logprob_list(Document&, const TokenTexts&, const TokenLogprobs&, std::int32_t);
template void append_chat_logprobs(std::string&, const TokenTexts&, const TokenLogprobs&, std::int32_t);
template void append_chat_logprobs(Document&, const TokenTexts&, const TokenLogprobs&, std::int32_t);
template void append_completion_logprobs(std::string&, const TokenTexts&, const LogDelta&,
                                         const CompletionLogprobsForm&);
template void append_completion_logprobs(Document&, const TokenTexts&, const LogDelta&,
                                         const CompletionLogprobsForm&);
template void append_prompt_logprobs(std::string&, const Tokenizer&, const RankedLogprobs&, std::int32_t,
                                     std::int32_t);
template void append_prompt_logprobs(Document&, const Tokenizer&, const RankedLogprobs&, std::int32_t,
                                     std::int32_t);

template <class Entry>
std::size_t num_characters(const TokenTexts& texts, std::span<const Entry> logprobs,
                           std::int32_t num_alternatives) {
    std::size_t sum = 0;
    const auto stride = static_cast<std::size_t>(num_alternatives) + 1;
    for (std::size_t token = 0; token < logprobs.size(); token += stride)
        sum += count_characters(texts.bytes_of(logprobs[token].token));
    return sum;
}

template std::size_t num_characters(const TokenTexts&, std::span<const TokenLogprob>, std::int32_t);
template std::size_t num_characters(const TokenTexts&, std::span<const RankedLogprob>, std::int32_t);

}  // namespace solard::server
