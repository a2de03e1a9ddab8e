// One line of text per event on stderr: time, level, message. I/O thread and main thread.
#pragma once

#include <string_view>

namespace solard::server {

enum class LogLevel { error, warning, info, debug };

// Lines above this level are dropped. Set once, before any other thread exists.
void set_log_level(std::string_view name);
bool log_enabled(LogLevel level);
// Control characters of `message` are escaped, so that no client can forge a line.
void log(LogLevel level, std::string_view message);

}  // namespace solard::server
