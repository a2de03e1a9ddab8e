#include "server/http/stream.hpp"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <new>

#include "server/auth/network.hpp"

namespace solard::server {

Stream::State::State(Socket s, std::chrono::steady_clock::duration timeout)
    : socket(std::move(s)),
      deadline(socket.get_executor()),
      write_timeout(timeout),
      progress_timer(socket.get_executor()) {}

void Stream::State::close() {
    boost::system::error_code ignored;
    socket.close(ignored);
}

void Stream::State::close_from_outside() {
    if (phase == Phase::interruptible && !farewell.empty())
        ::send(socket.native_handle(), farewell.data(), farewell.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    close();
}

std::size_t Stream::State::num_unaccepted() {
    int size = 0;  // TCP: bytes without an acknowledgement; Unix socket: memory that the peer has not read
    return ioctl(socket.native_handle(), SIOCOUTQ, &size) == 0 ? static_cast<std::size_t>(size) : 0;
}

std::uint64_t Stream::peer_network() const {
    boost::system::error_code gone;
    const auto endpoint = state_->socket.remote_endpoint(gone);
    return gone ? 0 : network_of(endpoint.data());
}

void Stream::expires_after(std::chrono::steady_clock::duration limit) {
    state_->deadline.expires_after(limit);
    state_->deadline.async_wait([weak = std::weak_ptr(state_)](boost::system::error_code ec) {
        const auto state = weak.lock();
        // The timer may have been set again after this handler was queued.
        if (ec || !state || state->deadline.expiry() > std::chrono::steady_clock::now()) return;
        state->close();
    });
}

// Looks at the stream after every step of ProgressWatch, until the client has accepted all bytes. Bytes that
// are only in the buffers of the kernel do not count as accepted, so a client that stalls is noticed even
// between two writes. If memory for the timer is missing, closes the stream, because otherwise nothing would
// notice a client that stalls.
void Stream::watch_progress(const std::shared_ptr<State>& state) {
    if (std::exchange(state->is_watched, true)) return;
    state->progress_timer.expires_after(state->write_timeout / ProgressWatch::steps_per_window);
    auto look = [weak = std::weak_ptr(state)](boost::system::error_code ec) {
        const auto watched = weak.lock();
        if (ec || !watched || !watched->socket.is_open()) return;
        State& now = *watched;
        now.is_watched = false;
        const std::size_t num_unaccepted = now.num_unaccepted();
        // A write that has just reached the kernel may not be counted in num_written yet.
        if (now.num_written > num_unaccepted)
            now.num_accepted = std::max(now.num_accepted, now.num_written - num_unaccepted);
        if (now.progress.note(now.num_accepted, num_unaccepted == 0)) return now.close();
        if (num_unaccepted > 0) watch_progress(watched);
    };
    try {
        state->progress_timer.async_wait(std::move(look));
    } catch (const std::bad_alloc&) {
        state->close();
    }
}

void Stream::set_phase(Phase phase) {
    const bool was_busy = std::exchange(state_->phase, phase) == Phase::busy;
    const bool is_busy = phase == Phase::busy;
    if (was_busy != is_busy && state_->on_interruptible) state_->on_interruptible(!is_busy);
}

void Stream::cancel() {
    boost::system::error_code ignored;
    state_->socket.cancel(ignored);
}

void Stream::shutdown_send() {
    boost::system::error_code ignored;
    state_->socket.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close() {
    state_->close();
}

}  // namespace solard::server
