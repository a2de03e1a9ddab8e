#include "server/generation/call_splitter.hpp"

#include <algorithm>
#include <boost/json/value.hpp>

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

// Returns the text in the arguments of a custom tool, {"input": TEXT}.
std::string input_of(std::string_view arguments) {
    const auto value = parse_json(arguments);
    const auto* const object = value ? value->if_object() : nullptr;
    const auto* const input = object != nullptr ? object->if_contains("input") : nullptr;
    return input != nullptr && input->is_string() ? std::string(input->get_string()) : std::string();
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

// The arguments are one JSON object.
void CallSplitter::append_arguments(char c, std::vector<CallPiece>& out) {
    if (is_custom_) {
        held_ += c;
    } else {
        append_piece(CallPiece::Kind::arguments, std::string_view(&c, 1), out);
    }
    if (in_string_) {
        in_string_ = escaped_ || c != '"';
        escaped_ = !escaped_ && c == '\\';
        return;
    }
    in_string_ = c == '"';
    if (c == '{' || c == '[') ++depth_;
    if (c == '}' || c == ']') --depth_;
    if (depth_ == 0 && c == '}') end_arguments(out);
}

void CallSplitter::end_arguments(std::vector<CallPiece>& out) {
    if (is_custom_) append_piece(CallPiece::Kind::arguments, input_of(held_), out);
    held_.clear();
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
