#include "server/observe/background_writer.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

namespace solard::server {
namespace {

// While this object exists, all signals are blocked for the calling thread and for the threads that it
// starts.
class BlockedSignals {
  public:
    BlockedSignals() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    BlockedSignals(const BlockedSignals&) = delete;
    BlockedSignals& operator=(const BlockedSignals&) = delete;

  private:
    sigset_t before_{};
};

// Writes `text`, and waits as long as necessary. Returns the part that could not be written because the
// reader is gone, the descriptor is closed, or the file system is full.
std::string_view write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const auto size = write(descriptor, text.data(), text.size());
        if (size >= 0) {
            text.remove_prefix(static_cast<std::size_t>(size));
        } else if (errno == EAGAIN) {  // another process has made the descriptor non-blocking
            pollfd writable{.fd = descriptor, .events = POLLOUT, .revents = 0};
            poll(&writable, 1, -1);
        } else if (errno != EINTR) {
            break;
        }
    }
    return text;
}

}  // namespace

struct BackgroundWriter::State {
    State(int fd, AppendLossNotice notice) : descriptor(fd), append_loss_notice(notice) {}

    // The caller must hold `mutex`.
    void lose(std::string_view lines) {
        const auto count = static_cast<std::uint64_t>(std::ranges::count(lines, '\n'));
        num_lost += count;
        num_unreported += count;
    }

    const int descriptor;
    const AppendLossNotice append_loss_notice;
    std::mutex mutex;  // guards all members below
    std::condition_variable work;
    std::condition_variable idle;
    std::string waiting;
    bool writing = false;
    bool ending = false;  // true: the thread ends when no text waits any more
    std::uint64_t num_lost = 0;
    std::uint64_t num_unreported = 0;  // lost lines that no notice has reported yet
};

BackgroundWriter::BackgroundWriter(int descriptor, AppendLossNotice append_loss_notice)
    : state_(std::make_shared<State>(descriptor, append_loss_notice)) {
    state_->waiting.reserve(capacity);
    const BlockedSignals blocked;
    std::thread([state = state_] { run(*state); }).detach();
}

BackgroundWriter::~BackgroundWriter() {
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
    state_->work.notify_one();
}

void BackgroundWriter::append(std::string_view lines) {
    const std::lock_guard lock(state_->mutex);
    if (state_->waiting.size() + lines.size() > capacity) return state_->lose(lines);
    state_->waiting += lines;
    state_->work.notify_one();
}

bool BackgroundWriter::flush_until(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(state_->mutex);
    return state_->idle.wait_until(lock, deadline,
                                   [this] { return state_->waiting.empty() && !state_->writing; });
}

std::uint64_t BackgroundWriter::num_lost() const {
    const std::lock_guard lock(state_->mutex);
    return state_->num_lost;
}

// Writes the notice about lost lines. The notice is made in `text`, so that no new memory is needed. Returns
// true if the notice was written.
bool BackgroundWriter::write_notice(const State& state, std::uint64_t num_lost, std::string& text) {
    if (state.append_loss_notice == nullptr) return false;
    text.clear();
    state.append_loss_notice(num_lost, text);
    return write_all(state.descriptor, text).empty();
}

void BackgroundWriter::run(State& state) {
    std::string text;
    text.reserve(capacity);
    std::unique_lock lock(state.mutex);
    for (;;) {
        state.work.wait(lock, [&] { return !state.waiting.empty() || state.ending; });
        if (state.waiting.empty()) return;
        text.clear();
        text.swap(state.waiting);
        state.writing = true;
        const std::uint64_t num_lost = state.num_unreported;  // lines lost after `text` was appended
        lock.unlock();
        const std::string_view left = write_all(state.descriptor, text);
        const bool reports = left.empty() && num_lost > 0 && write_notice(state, num_lost, text);
        lock.lock();
        state.writing = false;
        state.lose(left);
        if (reports) state.num_unreported -= num_lost;
        state.idle.notify_all();
    }
}

}  // namespace solard::server
