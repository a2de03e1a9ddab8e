// The fields of one message of a conversation, which chat completions and responses have in common.
#pragma once

#include <boost/json/value.hpp>
#include <span>
#include <string>
#include <string_view>

#include "inference/model/chat_template.hpp"
#include "server/config/error.hpp"

namespace solard::server {

inline constexpr std::size_t max_messages = 1024;

// In both functions below, `value` is nullptr if the field is missing, and `path` names the field in errors.

// Errors: invalid_value.
result<Role> parse_role(const boost::json::value* value, const std::string& path);
// Returns the text of a string, or the joined texts of a list of parts, each of which has one of
// `part_types`. Errors: invalid_value; unsupported_input for a part of another type.
result<std::string> parse_content(const boost::json::value* value, const std::string& path,
                                  std::span<const std::string_view> part_types);

}  // namespace solard::server
