#include "server/generation/call_splitter.hpp"

#include <algorithm>
#include <boost/json/value.hpp>
#include <charconv>

#include "server/api/json.hpp"

namespace solard::server {
namespace {

constexpr std::string_view white_space = " \t\r\n";
constexpr std::size_t max_held_space = 256;

// Returns the length of the longest end of `text` which is a beginning of `pattern`, but not all of it.
std::size_t common_size(std::string_view text, std::string_view pattern) {
    std::size_t size = std::min(text.size(), pattern.size() - 1);
    while (!pattern.starts_with(text.substr(text.size() - size))) --size;
    return size;
}

void append_piece(CallPiece::Kind kind, std::string_view text, std::vector<CallPiece>& out) {
    const bool continues = kind == CallPiece::Kind::text || kind == CallPiece::Kind::arguments;
    if (continues && text.empty()) return;
    if (continues && !out.empty() && out.back().kind == kind) {
        out.back().text += text;
    } else {
        out.push_back({kind, std::string(text)});
    }
}

// Returns true if the four hexadecimal digits are those of a surrogate between `first` and `last`.
bool is_surrogate(std::string_view digits, unsigned first, unsigned last) {
    unsigned code = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    return first <= code && code <= last;
}

// Returns the size of the first byte, or of the escapes of the first character, in the text of a JSON string;
// 0 if more of the text must be known.
std::size_t unit_size(std::string_view text) {
    constexpr std::size_t escape = 6;  // a backslash, a u and four digits
    if (text.empty()) return 0;
    if (text.front() != '\\') return 1;
    if (text.size() < 2) return 0;
    if (text[1] != 'u') return 2;
    if (text.size() < escape) return 0;
    if (!is_surrogate(text.substr(2, 4), 0xd800, 0xdbff)) return escape;
    const std::string_view second = text.substr(escape);
    if (!second.starts_with(std::string_view("\\u").substr(0, second.size()))) return escape;
    if (second.size() < escape) return 0;
    return is_surrogate(second.substr(2), 0xdc00, 0xdfff) ? 2 * escape : escape;
}

// Returns what a unit stands for.
std::string decoded(std::string_view unit) {
    if (unit.front() != '\\') return std::string(unit);
    const auto value = parse_json('"' + std::string(unit) + '"');
    return value && value->is_string() ? std::string(value->get_string()) : "\uFFFD";
}

}  // namespace

void CallSplitter::append(std::string_view text, bool is_last, std::vector<CallPiece>& out) {
    for (const char c : text) {
        switch (state_) {
            case State::text:
                append_text(c, out);
                break;
            case State::plain:
                append_piece(CallPiece::Kind::text, std::string_view(&c, 1), out);
                break;
            case State::name:
                append_name(c, out);
                break;
            case State::arguments:
                append_arguments(c, out);
                break;
            case State::tail:
                if (--tail_left_ == 0) state_ = State::text;
                break;
        }
    }
    if (is_last && state_ == State::text) end_text(out);
}

void CallSplitter::end_text(std::vector<CallPiece>& out) {
    const bool is_space = held_.find_first_not_of(white_space) == std::string::npos;
    if (rules_->must_call || (is_after_call_ && is_space)) held_.clear();
    release_text(held_.size(), out);
}

// Holds back white space at the end of the text and what may be the beginning of a trigger.
void CallSplitter::append_text(char c, std::vector<CallPiece>& out) {
    const std::string_view trigger = rules_->form.trigger;
    held_ += c;
    if (held_.ends_with(trigger)) {
        held_.erase(held_.size() - trigger.size());
        held_.erase(held_.find_last_not_of(white_space) + 1);
        release_text(held_.size(), out);
        held_ = trigger;
        state_ = State::name;
        return;
    }
    if (rules_->must_call) return;
    if (rules_->calls_come_first && !has_calls_) {
        if (trigger.starts_with(held_)) return;
        release_text(held_.size(), out);
        state_ = State::plain;
        return;
    }
    const std::string_view before =
        std::string_view(held_).substr(0, held_.size() - common_size(held_, trigger));
    const std::size_t size = before.find_last_not_of(white_space) + 1;
    release_text(before.size() - size > max_held_space ? before.size() : size, out);
}

void CallSplitter::append_name(char c, std::vector<CallPiece>& out) {
    held_ += c;
    const ToolForm& form = rules_->form;
    if (held_.size() < form.head.size() + form.middle.size() || !held_.ends_with(form.middle)) return;
    const std::string name =
        held_.substr(form.head.size(), held_.size() - form.head.size() - form.middle.size());
    append_piece(CallPiece::Kind::call, name, out);
    is_custom_ = std::ranges::find(rules_->custom_tools, name) != rules_->custom_tools.end();
    held_.clear();
    has_calls_ = true;
    is_after_call_ = true;
    state_ = State::arguments;
}

// The arguments are one JSON object; those of a custom tool are {"input": TEXT}.
void CallSplitter::append_arguments(char c, std::vector<CallPiece>& out) {
    const bool is_in_string = in_string_;
    if (in_string_) {
        in_string_ = escaped_ || c != '"';
        escaped_ = !escaped_ && c == '\\';
    } else {
        in_string_ = c == '"';
        if (c == '{' || c == '[') ++depth_;
        if (c == '}' || c == ']') --depth_;
    }
    if (!is_custom_) {
        append_piece(CallPiece::Kind::arguments, std::string_view(&c, 1), out);
    } else if (is_in_string && !in_string_) {
        has_input_name_ = true;
        // Half of a surrogate pair may be left.
        if (!held_.empty()) append_piece(CallPiece::Kind::arguments, decoded(held_), out);
        held_.clear();
    } else if (is_in_string && has_input_name_) {
        append_input(c, out);
    }
    if (depth_ == 0 && c == '}' && !is_in_string) end_arguments(out);
}

void CallSplitter::append_input(char c, std::vector<CallPiece>& out) {
    held_ += c;
    while (const std::size_t size = unit_size(held_)) {
        append_piece(CallPiece::Kind::arguments, decoded(std::string_view(held_).substr(0, size)), out);
        held_.erase(0, size);
    }
}

void CallSplitter::end_arguments(std::vector<CallPiece>& out) {
    has_input_name_ = false;
    append_piece(CallPiece::Kind::call_end, {}, out);
    tail_left_ = rules_->form.tail.size();
    state_ = tail_left_ > 0 ? State::tail : State::text;
}

void CallSplitter::release_text(std::size_t size, std::vector<CallPiece>& out) {
    append_piece(CallPiece::Kind::text, std::string_view(held_).substr(0, size), out);
    if (size > 0) is_after_call_ = false;
    held_.erase(0, size);
}

}  // namespace solard::server
