// The only way into the engine thread: a bounded queue of commands.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <utility>
#include <variant>
#include <vector>

#include "inference/request.hpp"

namespace solard {

struct CancelCommand {
    RequestId id = 0;
};
struct StopCommand {};
// A command to the engine thread: start this request, cancel a request, reuse these StepEvents, or stop.
using Command = std::variant<Request, CancelCommand, StepEvents, StopCommand>;

// Any thread may add a command; only the engine thread takes commands out. A full queue refuses requests, but
// no other command. If a cancel command were lost, the engine would compute an answer for which no client
// waits. If a stop command were lost, the engine would never end.
class CommandQueue {
  public:
    explicit CommandQueue(std::size_t capacity) : capacity_(capacity) {}

    // If the queue is full or closed, discards the request and returns false.
    bool submit(Request request) {
        {
            const std::lock_guard lock(mutex_);
            if (closed_ || commands_.size() >= capacity_) return false;
            commands_.emplace_back(std::move(request));
        }
        not_empty_.notify_one();
        return true;
    }

    // Adds a command even if the queue is full. If the queue is closed, drops the command: no thread would
    // execute it.
    void push(Command command) {
        {
            const std::lock_guard lock(mutex_);
            if (closed_) return;
            commands_.push_back(std::move(command));
        }
        not_empty_.notify_one();
    }

    // Replaces the contents of `out` with all queued commands, in order. If `wait` is true, first waits until
    // there is at least one command.
    void take(std::vector<Command>& out, bool wait) {
        out.clear();
        std::unique_lock lock(mutex_);
        if (wait) not_empty_.wait(lock, [this] { return !commands_.empty(); });
        commands_.swap(out);
    }

    // Replaces the contents of `out` with all queued commands, and closes the queue: later
    // commands are refused or dropped.
    void close(std::vector<Command>& out) {
        out.clear();
        const std::lock_guard lock(mutex_);
        closed_ = true;
        commands_.swap(out);
    }

  private:
    const std::size_t capacity_;
    std::mutex mutex_;
    std::condition_variable not_empty_;
    std::vector<Command> commands_;
    bool closed_ = false;
};

}  // namespace solard
