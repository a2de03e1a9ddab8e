// The one way into the engine thread: a bounded queue of commands, taken in one go.
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
// Request = submit, StepEvents = a vector handed back for reuse.
using Command = std::variant<Request, CancelCommand, StepEvents, StopCommand>;

// Any thread pushes, the engine thread takes. Only Requests are refused when the queue is full: a lost cancel
// would compute for nobody, a lost stop would hang.
class CommandQueue {
  public:
    explicit CommandQueue(std::size_t capacity) : capacity_(capacity) {}

    // False when the queue is full or closed: the request was not taken.
    bool submit(Request request) {
        {
            const std::lock_guard lock(mutex_);
            if (closed_ || commands_.size() >= capacity_) return false;
            commands_.emplace_back(std::move(request));
        }
        not_empty_.notify_one();
        return true;
    }

    // Never refused; dropped once the queue is closed, when nobody is left to obey.
    void push(Command command) {
        {
            const std::lock_guard lock(mutex_);
            if (closed_) return;
            commands_.push_back(std::move(command));
        }
        not_empty_.notify_one();
    }

    // Replaces the contents of `out` by all commands, in order; waits for the first one if `wait`.
    void take(std::vector<Command>& out, bool wait) {
        out.clear();
        std::unique_lock lock(mutex_);
        if (wait) not_empty_.wait(lock, [this] { return !commands_.empty(); });
        commands_.swap(out);
    }

    // Takes the last commands; from here on nothing is accepted.
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
