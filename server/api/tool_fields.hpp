// The fields that describe the tools which an answer may call: `tools`, `tool_choice` and
// `parallel_tool_calls`.
#pragma once

#include <boost/json/array.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/grammar/compiler.hpp"
#include "inference/model/tool_form.hpp"
#include "server/api/fields.hpp"
#include "server/api/peer_fields.hpp"

namespace solard::server {

inline constexpr std::size_t max_tools = 128;
inline constexpr std::size_t max_tool_name = 128;          // bytes
inline constexpr std::size_t max_tool_schemas = 64 << 10;  // bytes of all tools' schemas together
inline constexpr std::size_t max_shown_tools = 256 << 10;  // bytes of `tools` as JSON, descriptions included

struct Tool {
    std::string name;
    // True: the arguments are one text, which the model writes as {"input": TEXT}.
    bool is_custom = false;
    std::string schema;  // of the arguments: JSON without annotations
};

// The tools which an answer may call.
struct Tools {
    std::vector<Tool> callable;    // those of which tool_choice allows a call
    boost::json::array described;  // what the prompt says about all tools, in OpenAI's form for chats
    bool must_call = false;        // true: the answer consists of calls
    bool parallel = true;          // false: at most one call
    const Tool* find(std::string_view name) const;
};

// What a response repeats.
struct ShownTools {
    std::string tools = "[]";
    std::string choice = R"("auto")";
    bool parallel = true;
};

struct ToolFields {
    std::optional<Tools> tools;  // absent if the answer cannot call a tool
    ShownTools shown;
};

// Reads the three fields. `kind` is chat, responses or tokenize; Responses writes a tool's members beside its
// type, and chat in a member of their own. With tool_choice "none", the tools have no effect and are not
// checked. A problem is recorded in `fields`: a type of tool that the server would have to run itself, a
// schema that cannot be enforced, a limit.
ToolFields parse_tool_fields(FieldReader& fields, BodyKind kind);

// Returns the grammar of an answer that may call these tools in this form. If the answer may also be a text,
// it is any text, or one that follows `text_schema` unless this is empty.
GrammarSource grammar_of_calls(const Tools& tools, const ToolForm& form, std::string_view text_schema);

}  // namespace solard::server
