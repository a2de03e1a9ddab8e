#include "server/observe/log.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <new>
#include <string>

namespace solard::server {
namespace {

constexpr std::array<std::string_view, 4> level_names{"error", "warning", "info", "debug"};
LogLevel threshold = LogLevel::info;

std::string timestamp() {
    const auto now = std::chrono::system_clock::now();
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    const auto millis =
        std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count() % 1000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::array<char, 40> text{};
    const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
    std::snprintf(text.data() + size, text.size() - size, ".%03dZ", static_cast<int>(millis));
    return text.data();
}

void write_line(LogLevel level, std::string_view message) {
    std::string line = timestamp();
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
    std::fwrite(line.data(), 1, line.size(), stderr);  // in one write, so that lines never mix
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
        write_line(level, message);
    } catch (const std::bad_alloc&) {
        // The line is not worth more than the request that it describes.
    }
}

}  // namespace solard::server
