// Reads JSON files of a model folder. Each file must hold one object without duplicate keys and without
// numbers that are too large; its size and depth are limited.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "inference/error.hpp"

namespace solard {

// The limit is two orders of magnitude above any published configuration or index.
inline constexpr std::uint64_t max_json_file_bytes = std::uint64_t{16} << 20;

// Reads the object in a file. Errors: bad_model, with a message that names the file, if the file is missing,
// too large, not JSON or not an object, or if find_json_flaw() finds something in it.
result<boost::json::object> read_json_file(const std::filesystem::path& path,
                                           std::uint64_t max_bytes = max_json_file_bytes);

// Parses the object in `text`, which was read from `file`. Has the same errors as read_json_file().
result<boost::json::object> parse_json_object(std::string_view text, const std::filesystem::path& file);

// Returns the value if it is a JSON integer in [0, 2^63). Returns nothing for 16.0, "16" and the like.
std::optional<std::int64_t> non_negative_integer(const boost::json::value& value);

}  // namespace solard
