#include "server/stream.hpp"

namespace solard {

void Stream::State::close() {
    boost::system::error_code ignored;
    socket.close(ignored);
}

void Stream::expires_after(std::chrono::steady_clock::duration limit) {
    state_->deadline.expires_after(limit);
    state_->deadline.async_wait([weak = std::weak_ptr(state_)](boost::system::error_code ec) {
        const auto state = weak.lock();
        // The timer may have been set anew after this handler was queued.
        if (ec || !state || state->deadline.expiry() > std::chrono::steady_clock::now()) return;
        state->close();
    });
}

void Stream::shutdown_send() {
    boost::system::error_code ignored;
    state_->socket.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close() {
    state_->close();
}

}  // namespace solard
