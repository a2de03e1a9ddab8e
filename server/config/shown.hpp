// Prepares text of a client for messages and log lines.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace solard::server {

inline constexpr std::size_t max_shown_bytes = 200;

// Returns `text` in the form in which a message or a log line may repeat it: valid UTF-8 of at most
// max_shown_bytes bytes. If the text was longer, the form ends with "...".
std::string shown(std::string_view text);

}  // namespace solard::server
