#include "server/observe/load_progress.hpp"

#include <unistd.h>

#include <array>
#include <cstdio>

namespace solard::server {

LoadProgress::LoadProgress(std::atomic<int>& percent, BackgroundWriter& output)
    : percent_(percent), output_(output), is_terminal_(isatty(STDERR_FILENO) != 0) {}

void LoadProgress::update(std::uint64_t bytes_done, std::uint64_t bytes_total) {
    const int percent = bytes_total == 0 ? 100 : static_cast<int>(bytes_done * 100 / bytes_total);
    percent_ = percent;
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin_;
    if (elapsed.count() < 1) return;
    if (percent == shown_percent_ || (!is_terminal_ && percent / 10 == shown_percent_ / 10)) return;
    shown_percent_ = percent;
    std::array<char, 80> text{};
    if (is_terminal_) {
        std::snprintf(text.data(), text.size(), "\rloading weights %3d %%%s", percent,
                      percent == 100 ? "\n" : "");
    } else {
        std::snprintf(text.data(), text.size(), "loading weights %d %%\n", percent);
    }
    output_.append(text.data());
    if (percent < 100) return;
    const double gigabytes = static_cast<double>(bytes_total) / 1e9;
    std::snprintf(text.data(), text.size(), "loaded %.1f GB in %.1f s, %.1f GB/s\n", gigabytes,
                  elapsed.count(), gigabytes / elapsed.count());
    output_.append(text.data());
}

}  // namespace solard::server
