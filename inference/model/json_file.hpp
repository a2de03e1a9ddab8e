// JSON from a model folder: one object, no duplicate keys, limited size and depth.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "inference/error.hpp"

namespace solard {

// Larger than any published configuration or index by two orders of magnitude.
inline constexpr std::uint64_t max_json_file_bytes = std::uint64_t{16} << 20;

// Errors: bad_model naming the file: missing, too large, not JSON, not an object, a key twice in one object.
result<boost::json::object> read_json_file(const std::filesystem::path& path);

// The same for text that was found in `file`.
result<boost::json::object> parse_json_object(std::string_view text, const std::filesystem::path& file);

// A key that stands twice in one object of `text`, which is valid JSON.
std::optional<std::string> find_duplicate_key(std::string_view text);

// A JSON integer in [0, 2^63). Nothing for 16.0, "16" and the like.
std::optional<std::int64_t> non_negative_integer(const boost::json::value& value);

}  // namespace solard
