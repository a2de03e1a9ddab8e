// Writes text to a file descriptor on a thread of its own, so that no other thread waits for the reader of
// that descriptor.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace solard::server {

// All member functions may be called from any thread.
class BackgroundWriter {
  public:
    // The maximum number of bytes that wait to be written. Lines for which there is no room are lost, and
    // counted.
    static constexpr std::size_t capacity = 1 << 20;

    // A function that appends to `text` the line that says how many lines were lost. The writer's thread
    // calls the function and writes the line as soon as it can write again, after all lines that came before
    // the lost lines. The function must not allocate memory beyond the memory that the line needs in `text`.
    using AppendLossNotice = void (*)(std::uint64_t num_lost, std::string& text);

    // `descriptor` must stay open as long as the thread writes to it. `append_loss_notice` may be null.
    BackgroundWriter(int descriptor, AppendLossNotice append_loss_notice);
    // Does not wait for text that has not been written yet. A thread that is stuck in a write goes on without
    // this object, until that write ends or the process ends.
    ~BackgroundWriter();
    BackgroundWriter(const BackgroundWriter&) = delete;
    BackgroundWriter& operator=(const BackgroundWriter&) = delete;

    // Takes one or more whole lines. Waits only for a short lock, and allocates no memory.
    void append(std::string_view lines);
    // Waits until all lines are written or lost. Returns false if some lines still wait at `deadline`.
    bool flush_until(std::chrono::steady_clock::time_point deadline);
    // Returns the number of lines that were lost since the start, either for lack of room or because the
    // descriptor could not be written.
    std::uint64_t num_lost() const;

  private:
    struct State;
    static void run(State& state);
    static bool write_notice(const State& state, std::uint64_t num_lost, std::string& text);

    std::shared_ptr<State> state_;  // shared with the thread, which may outlive this object
};

}  // namespace solard::server
