#include "inference/tokenizer/split_pattern.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <utility>

#include "inference/text/json_text.hpp"

namespace solard {
namespace {

// The limits of one match. A pattern that backtracks over a whole text of some megabytes stays below them.
constexpr std::uint32_t max_match_steps = 10'000'000;
constexpr std::uint32_t max_match_depth = 100'000;
constexpr std::uint32_t max_match_kibibytes = 64 << 10;

// What \s means in Oniguruma: the property White_Space. In PCRE2, \s has U+180E too.
constexpr std::string_view white_space = R"(\t-\r\x{85}\p{Z})";

// Translates a pattern from the syntax of Oniguruma (its default, that of Ruby) to that of PCRE2, and refuses
// what has different meanings or is not needed by the patterns of Llama's relatives.
class PatternTranslator {
  public:
    explicit PatternTranslator(std::string_view pattern) : rest_(pattern) {}

    result<std::string> translate() {
        while (!rest_.empty() && problem_.empty()) {
            if (rest_.front() == '\\') {
                escape();
            } else if (in_class_) {
                class_character();
            } else {
                character();
            }
        }
        if (!problem_.empty()) return Error{errc::bad_model, "has " + problem_ + ", which is not supported"};
        return std::move(out_);
    }

  private:
    void copy(std::size_t size) {
        out_ += rest_.substr(0, size);
        rest_.remove_prefix(std::min(size, rest_.size()));
    }
    void refuse(std::size_t size) { problem_ = quoted_name(rest_.substr(0, size)); }

    void escape() {
        is_first_in_class_ = false;
        const char c = rest_.size() > 1 ? rest_[1] : '\0';
        const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (c == 's' || (c == 'S' && !in_class_)) {
            const std::string_view begin = in_class_ ? "" : c == 's' ? "[" : "[^";
            out_.append(begin).append(white_space).append(in_class_ ? "" : "]");
            rest_.remove_prefix(2);
        } else if (!is_letter || std::string_view("pPrntfdDx").find(c) != std::string_view::npos) {
            // The braces of a property or of a number are not those of a repetition.
            const bool has_braces = std::string_view("pPx").find(c) != std::string_view::npos;
            const auto end = has_braces && rest_.find('{') == 2 ? rest_.find('}') : std::string_view::npos;
            copy(end == std::string_view::npos ? 2 : end + 1);
        } else {
            refuse(2);
        }
    }

    void class_character() {
        // Oniguruma has classes inside classes, and their intersection.
        if (rest_.front() == '[' || rest_.starts_with("&&")) {
            refuse(2);
            return;
        }
        in_class_ = rest_.front() != ']' || is_first_in_class_;
        is_first_in_class_ = false;
        copy(1);
    }

    void character() {
        constexpr std::array<std::string_view, 6> groups = {"(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!"};
        if (rest_.starts_with("(?") || rest_.starts_with("(*")) {
            for (const std::string_view group : groups) {
                if (rest_.starts_with(group)) return copy(group.size());
            }
            return refuse(4);
        }
        // In Ruby's syntax, such a plus repeats the repetition. In PCRE2, it forbids backtracking.
        if (rest_.starts_with("}+")) return refuse(2);
        if (rest_.front() == '[') {
            in_class_ = true;
            copy(rest_.starts_with("[^") ? 2 : 1);
            is_first_in_class_ = true;
            return;
        }
        copy(1);
    }

    std::string_view rest_;
    std::string out_;
    std::string problem_;
    bool in_class_ = false;
    bool is_first_in_class_ = false;
};

struct CodeDeleter {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct MatchContextDeleter {
    void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};
struct MatchDataDeleter {
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

template <class Pointer>
Pointer require_memory(Pointer pointer) {
    if (pointer == nullptr) throw std::bad_alloc();
    return pointer;
}

}  // namespace

struct SplitPattern::Compiled {
    std::unique_ptr<pcre2_code, CodeDeleter> code;
    std::string pattern;  // as the file has it, for messages
};

struct MatchMemory::Impl {
    std::unique_ptr<pcre2_match_context, MatchContextDeleter> limits{
        require_memory(pcre2_match_context_create(nullptr))};
    std::unique_ptr<pcre2_match_data, MatchDataDeleter> data{
        require_memory(pcre2_match_data_create(1, nullptr))};
};

MatchMemory::MatchMemory() : impl_(std::make_unique<Impl>()) {
    pcre2_set_match_limit(impl_->limits.get(), max_match_steps);
    pcre2_set_depth_limit(impl_->limits.get(), max_match_depth);
    pcre2_set_heap_limit(impl_->limits.get(), max_match_kibibytes);
}
MatchMemory::~MatchMemory() = default;

namespace {

result<std::shared_ptr<SplitPattern::Compiled>> compile(std::string_view pattern, std::string_view shown,
                                                        std::uint32_t options) {
    int error = 0;
    PCRE2_SIZE offset = 0;
    options |= PCRE2_UTF;
    auto* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), options, &error,
                               &offset, nullptr);
    if (code == nullptr) {
        std::array<PCRE2_UCHAR, 256> text{};
        pcre2_get_error_message(error, text.data(), text.size());
        return Error{errc::bad_model, std::string("is not a valid regular expression: ") +
                                          reinterpret_cast<const char*>(text.data())};
    }
    auto compiled = std::make_shared<SplitPattern::Compiled>();
    compiled->code.reset(code);
    compiled->pattern = shown;
    return compiled;
}

}  // namespace

result<SplitPattern> SplitPattern::regular_expression(std::string_view pattern) {
    const auto translated = PatternTranslator(pattern).translate();
    if (!translated) return translated.error();
    // In Ruby's syntax, ^ and $ match at every line.
    auto compiled = compile(*translated, pattern, PCRE2_UCP | PCRE2_MULTILINE);
    if (!compiled) return compiled.error();
    return SplitPattern(*std::move(compiled));
}

SplitPattern SplitPattern::literal(std::string_view text) {
    return SplitPattern(compile(text, text, PCRE2_LITERAL).value());
}

result<void> SplitPattern::split(std::string_view text, MatchMemory& memory,
                                 std::vector<std::string_view>& pieces) const {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    pcre2_match_data* data = memory.impl_->data.get();
    std::size_t begin = 0;  // of the piece that is not appended yet
    std::size_t search = 0;
    while (search < text.size()) {
        const int outcome = pcre2_match(compiled_->code.get(), subject, text.size(), search,
                                        PCRE2_NO_UTF_CHECK, data, memory.impl_->limits.get());
        if (outcome == PCRE2_ERROR_NOMATCH) break;
        if (outcome == PCRE2_ERROR_NOMEMORY) throw std::bad_alloc();
        if (outcome < 0) {
            return Error{
                errc::invalid_request,
                "The text cannot be tokenized: the model's pattern " + quoted_name(compiled_->pattern) +
                    " needs more steps or memory for it than the server allows; send a shorter text."};
        }
        const PCRE2_SIZE* match = pcre2_get_ovector_pointer(data);
        const std::size_t match_begin = match[0];
        const std::size_t match_end = match[1];
        if (match_begin > begin) pieces.push_back(text.substr(begin, match_begin - begin));
        if (match_end > match_begin) pieces.push_back(text.substr(match_begin, match_end - match_begin));
        begin = match_end;
        search = match_end;
        if (match_end == match_begin) {  // an empty match: the next search begins one character later
            ++search;
            while (search < text.size() && (static_cast<unsigned char>(text[search]) & 0xC0) == 0x80)
                ++search;
        }
    }
    if (begin < text.size()) pieces.push_back(text.substr(begin));
    return {};
}

bool SplitPattern::matches(std::string_view text) const {
    MatchMemory memory;
    return pcre2_match(compiled_->code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), 0, 0,
                       memory.impl_->data.get(), memory.impl_->limits.get()) >= 0;
}

}  // namespace solard
