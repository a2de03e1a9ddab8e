// Shows the progress while the weights are loaded.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

#include "server/observe/background_writer.hpp"

namespace solard::server {

// A terminal gets one line that is overwritten; any other output gets one line for every
// ten per cent. Nothing is written if the load takes less than a second. Engine thread only.
class LoadProgress {
  public:
    // update() stores the progress in `percent`, so that other threads can read it, and writes to `output`,
    // the writer of stderr. `percent` and `output` must outlive this object.
    LoadProgress(std::atomic<int>& percent, BackgroundWriter& output);

    void update(std::uint64_t bytes_done, std::uint64_t bytes_total);

  private:
    std::atomic<int>& percent_;
    BackgroundWriter& output_;
    std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
    bool is_terminal_;
    int shown_percent_ = -1;
};

}  // namespace solard::server
