#include "server/observe/log.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <new>
#include <string>

namespace solard::server {
namespace {

constexpr std::array<std::string_view, 4> level_names{"error", "warning", "info", "debug"};
LogLevel threshold = LogLevel::info;
BackgroundWriter* log_writer = nullptr;

// Appends the time in UTC. Does not use gmtime_r(), which reads the time zone's file.
void append_timestamp(std::string& line) {
    using namespace std::chrono;
    const auto now = floor<milliseconds>(system_clock::now());
    const auto day = floor<days>(now);
    const year_month_day date(day);
    const hh_mm_ss time(now - day);
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                  static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                  static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
                  static_cast<int>(time.subseconds().count()));
    line += text.data();
}

void append_line(LogLevel level, std::string_view message, std::string& line) {
    append_timestamp(line);
    line.append(" ").append(level_names[static_cast<std::size_t>(level)]).append(" ");
    for (const char c : message) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            std::array<char, 5> escaped{};
            std::snprintf(escaped.data(), escaped.size(), "\\x%02x", static_cast<unsigned char>(c));
            line += escaped.data();
        } else {
            line += c;
        }
    }
    line += '\n';
}

}  // namespace

void set_log_level(std::string_view name) {
    for (std::size_t i = 0; i < level_names.size(); ++i)
        if (level_names[i] == name) threshold = static_cast<LogLevel>(i);
}

bool log_enabled(LogLevel level) {
    return level <= threshold;
}

void log(LogLevel level, std::string_view message) noexcept {
    if (!log_enabled(level)) return;
    try {
        std::string line;
        append_line(level, message, line);
        if (log_writer != nullptr) return log_writer->append(line);
        std::fwrite(line.data(), 1, line.size(), stderr);  // in one write, so that lines never mix
    } catch (const std::bad_alloc&) {
        // The line is dropped, because a lack of memory for the log must not make a request fail.
    }
}

void set_log_writer(BackgroundWriter* writer) {
    log_writer = writer;
}

void append_log_loss_notice(std::uint64_t num_lost, std::string& text) {
    std::array<char, 96> message{};
    std::snprintf(message.data(), message.size(),
                  "%llu log lines were lost because stderr did not accept them",
                  static_cast<unsigned long long>(num_lost));
    append_line(LogLevel::warning, message.data(), text);
}

std::uint64_t num_log_lines_lost() {
    return log_writer == nullptr ? 0 : log_writer->num_lost();
}

}  // namespace solard::server
