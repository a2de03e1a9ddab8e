// One byte stream of a client, over TCP or a Unix socket. Sessions use only this class, so that the templates
// of Beast are instantiated for one type only.
#pragma once

#include <boost/asio/compose.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

namespace solard::server {

// Models Asio's AsyncReadStream and AsyncWriteStream. I/O thread only.
class Stream {
  public:
    using Socket = boost::asio::generic::stream_protocol::socket;
    using executor_type = Socket::executor_type;

    explicit Stream(Socket socket) : state_(std::make_shared<State>(std::move(socket))) {}

    // Returns network_of() the peer.
    std::uint64_t peer_network() const;

    executor_type get_executor() { return state_->socket.get_executor(); }

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        auto step = [state = state_, buffers, begun = false](auto& self, boost::system::error_code ec = {},
                                                             std::size_t size = 0) mutable {
            if (std::exchange(begun, true)) {
                state->num_read += size;
                return self.complete(ec, size);
            }
            auto& socket = state->socket;
            // Moving `self` also moves this lambda, so the buffers are copied first.
            const Buffers space = buffers;  // NOLINT(performance-unnecessary-copy-initialization)
            socket.async_read_some(space, std::move(self));
        };
        return boost::asio::async_compose<Token, void(boost::system::error_code, std::size_t)>(
            std::move(step), token, state_->socket);
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        auto step = [state = state_, buffers, begun = false](auto& self, boost::system::error_code ec = {},
                                                             std::size_t size = 0) mutable {
            if (std::exchange(begun, true)) {
                state->num_written += size;
                return self.complete(ec, size);
            }
            auto& socket = state->socket;
            // The buffers are copied first, as above.
            const Buffers data = buffers;  // NOLINT(performance-unnecessary-copy-initialization)
            socket.async_write_some(data, std::move(self));
        };
        return boost::asio::async_compose<Token, void(boost::system::error_code, std::size_t)>(
            std::move(step), token, state_->socket);
    }

    // Closes the stream after `limit`; pending reads and writes then fail. Each of the three functions whose
    // name begins with `expires` replaces the deadline that was set before.
    void expires_after(std::chrono::steady_clock::duration limit);
    // Closes the stream if fewer than 3,000 bytes are written during any `interval`. A slow client is still
    // served, but a client that only pretends to read is not.
    void expires_without_progress(std::chrono::steady_clock::duration interval);
    void expires_never() { state_->deadline.expires_at(std::chrono::steady_clock::time_point::max()); }
    std::uint64_t num_read() const { return state_->num_read; }  // bytes since the stream was opened
    bool is_open() const { return state_->socket.is_open(); }

    // Ends the sending direction, so that the peer reads end of file.
    void shutdown_send();
    void close();

    // The stream is idle between two requests. It can then be closed without losing an answer.
    void set_idle(bool idle) { state_->idle = idle; }
    // Returns a function that closes the stream from outside its session, if the stream still exists.
    auto make_closer() const {
        return [weak = std::weak_ptr(state_)](bool only_if_idle) {
            const auto state = weak.lock();
            if (state && (state->idle || !only_if_idle)) state->close();
        };
    }

  private:
    struct State {
        explicit State(Socket s) : socket(std::move(s)), deadline(socket.get_executor()) {}
        void close();
        Socket socket;
        boost::asio::steady_timer deadline;
        std::uint64_t num_read = 0;  // bytes
        std::uint64_t num_written = 0;
        bool idle = true;
    };
    std::shared_ptr<State> state_;  // shared with the deadline's handler, which may outlive this object
};

}  // namespace solard::server
