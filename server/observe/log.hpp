// The log: one line per event on stderr with time, level and message. I/O thread and main thread only.
#pragma once

#include <string_view>

namespace solard::server {

enum class LogLevel { error, warning, info, debug };

// Sets the least important level that is written. Call it once, before any other thread exists.
void set_log_level(std::string_view name);
bool log_enabled(LogLevel level);
// Writes a line, or nothing if memory is missing. Control characters in `message` are escaped, so that no
// client can forge a line.
void log(LogLevel level, std::string_view message) noexcept;

}  // namespace solard::server
