// Divides the text of an answer into messages and calls of tools.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "inference/model/tool_form.hpp"

namespace solard::server {

// The calls which an answer can have.
struct CallRules {
    ToolForm form;
    std::vector<std::string> custom_tools = {};  // the names of the tools whose argument is one text
    bool must_call = false;         // true: the answer has no text, so what is no whole call is left out
    bool calls_come_first = false;  // true: an answer that does not begin with a call has none
};

// A piece of an answer.
struct CallPiece {
    enum class Kind : std::uint8_t {
        text,       // a part of a message
        call,       // a call begins; `text` is the name of the tool
        arguments,  // a part of the call's arguments; for a custom tool, of its text
        call_end,   // the call is complete; `text` is empty
    };
    Kind kind = Kind::text;
    std::string text;
    bool operator==(const CallPiece&) const = default;
};

// Every output has a splitter of its own. The text must follow the grammar of grammar_of_calls(), as far as
// it goes. White space beside a call is no message, unless it is very long.
class CallSplitter {
  public:
    // `rules` must outlive the splitter.
    explicit CallSplitter(const CallRules& rules) : rules_(&rules) {}
    // Feeds a part of the answer and appends the pieces that are known now. A text that may be the beginning
    // of a call is held back. `is_last`: the answer ends here.
    void append(std::string_view text, bool is_last, std::vector<CallPiece>& out);
    const std::string& held() const { return held_; }

  private:
    // plain: the rest is text, whatever it says.
    enum class State : std::uint8_t { text, plain, name, arguments, tail };
    void end_text(std::vector<CallPiece>& out);
    void append_text(char c, std::vector<CallPiece>& out);
    void append_name(char c, std::vector<CallPiece>& out);
    void append_arguments(char c, std::vector<CallPiece>& out);
    void append_input(char c, std::vector<CallPiece>& out);
    void release_text(std::size_t size, std::vector<CallPiece>& out);
    void end_arguments(std::vector<CallPiece>& out);

    const CallRules* rules_;
    State state_ = State::text;
    std::string held_;  // the text of the state that is not passed on yet
    std::size_t tail_left_ = 0;
    int depth_ = 0;  // of the arguments
    bool in_string_ = false;
    bool escaped_ = false;
    bool is_custom_ = false;
    bool has_input_name_ = false;  // the name in the arguments of a custom tool has come
    bool has_calls_ = false;
    bool is_after_call_ = false;  // no text has come since the last call
};

}  // namespace solard::server
