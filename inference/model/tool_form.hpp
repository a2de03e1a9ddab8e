// How a model writes the calls of tools into its answer.
#pragma once

#include <cstddef>
#include <string_view>

namespace solard {

// A call is the text `head` NAME `middle` ARGUMENTS `tail`, where the arguments are a JSON object.
struct ToolForm {
    std::string_view trigger;  // where this text appears in an answer, a call begins; `head` begins with it
    std::string_view head;
    std::string_view middle;
    std::string_view tail;
    std::string_view separator;  // between two calls
    bool several = false;        // true: an answer may have several calls
    bool in_template = false;    // true: the chat template writes tools, calls and results itself
    // If not 0, the ids of calls must have this many letters and digits.
    std::size_t id_length = 0;
};

// The form of Hermes. It is also the form for models whose template knows no tools.
inline constexpr ToolForm hermes_form{.trigger = "<tool_call>",
                                      .head = "<tool_call>\n{\"name\": \"",
                                      .middle = R"(", "arguments": )",
                                      .tail = "}\n</tool_call>",
                                      .separator = "\n",
                                      .several = true,
                                      .in_template = true};

// Returns the form that a chat template with this source writes, or the generic form, with `in_template`
// false, if it writes none that is known here.
ToolForm tool_form_of(std::string_view template_source);

}  // namespace solard
