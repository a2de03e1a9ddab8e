// The log: one line per event on stderr with time, level and message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "server/observe/background_writer.hpp"

namespace solard::server {

enum class LogLevel { error, warning, info, debug };

// Sets the least important level that is written. Must be called once, before any other thread exists.
void set_log_level(std::string_view name);
bool log_enabled(LogLevel level);
// Writes a line, or nothing if memory is missing. Control characters in `message` are escaped, so that no
// client can forge a line. May be called from any thread. Waits for stderr, unless set_log_writer() was
// called.
void log(LogLevel level, std::string_view message) noexcept;

// From now on, the lines go to `writer`, so that log() never waits for stderr. If `writer` is null, log()
// itself writes to stderr again. Must not be called while another thread uses the log.
void set_log_writer(BackgroundWriter* writer);
// Appends the line that reports lost lines of the log (BackgroundWriter::AppendLossNotice).
void append_log_loss_notice(std::uint64_t num_lost, std::string& text);
// Returns the number of lines that the writer has lost. May be called from any thread.
std::uint64_t num_log_lines_lost();

}  // namespace solard::server
