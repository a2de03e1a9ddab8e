// Shows how far the weights are loaded.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace solard::server {

// Writes to stderr. A terminal gets one line that is overwritten; any other output gets one line for every
// ten per cent. Nothing is written if the load takes less than a second. Engine thread only.
class LoadProgress {
  public:
    // update() stores the progress in `percent`, so that other threads can read it. `percent` outlives this
    // object.
    explicit LoadProgress(std::atomic<int>& percent);

    void update(std::uint64_t bytes_done, std::uint64_t bytes_total);

  private:
    std::atomic<int>& percent_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    bool is_terminal_;
    int shown_percent_ = -1;
};

}  // namespace solard::server
