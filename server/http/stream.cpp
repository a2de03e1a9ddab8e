#include "server/http/stream.hpp"

#include "server/auth/network.hpp"

namespace solard::server {

void Stream::State::close() {
    boost::system::error_code ignored;
    socket.close(ignored);
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

void Stream::expires_without_progress(std::chrono::steady_clock::duration interval) {
    constexpr std::uint64_t min_bytes = 3000;
    state_->deadline.expires_after(interval);
    state_->deadline.async_wait(
        [stream = *this, interval, before = state_->num_written](boost::system::error_code ec) mutable {
            State& state = *stream.state_;
            if (ec || state.deadline.expiry() > std::chrono::steady_clock::now()) return;
            if (state.num_written - before < min_bytes) return state.close();
            stream.expires_without_progress(interval);
        });
}

void Stream::shutdown_send() {
    boost::system::error_code ignored;
    state_->socket.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close() {
    state_->close();
}

}  // namespace solard::server
