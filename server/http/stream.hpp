// One byte stream of a client, whatever carries it. Sessions know this class only, so that the protocols are
// instantiated once.
#pragma once

#include <boost/asio/compose.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

namespace solard::server {

// TCP or Unix socket. Models Asio's AsyncReadStream and AsyncWriteStream. I/O thread only.
class Stream {
  public:
    using Socket = boost::asio::generic::stream_protocol::socket;
    using executor_type = Socket::executor_type;

    explicit Stream(Socket socket) : state_(std::make_shared<State>(std::move(socket))) {}

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
            // `self` moves, and this lambda with it.
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
            const Buffers data = buffers;  // NOLINT(performance-unnecessary-copy-initialization)
            socket.async_write_some(data, std::move(self));
        };
        return boost::asio::async_compose<Token, void(boost::system::error_code, std::size_t)>(
            std::move(step), token, state_->socket);
    }

    // Each of these replaces the one before. Closes the stream, failing what is pending, after `limit`.
    void expires_after(std::chrono::steady_clock::duration limit);
    // Closes the stream when fewer than 3,000 bytes were written in one `interval`: a slow reader is served,
    // one that pretends to read is not.
    void expires_without_progress(std::chrono::steady_clock::duration interval);
    void expires_never() { state_->deadline.expires_at(std::chrono::steady_clock::time_point::max()); }
    std::uint64_t num_read() const { return state_->num_read; }  // bytes, ever
    bool is_open() const { return state_->socket.is_open(); }

    // Ends the sending direction; the peer reads end of file.
    void shutdown_send();
    void close();

    // Idle: between two requests, so that closing it loses nothing.
    void set_idle(bool idle) { state_->idle = idle; }
    // Closes the stream from outside its session, if both still exist.
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
        std::uint64_t num_read = 0;  // bytes, ever
        std::uint64_t num_written = 0;
        bool idle = true;
    };
    std::shared_ptr<State> state_;  // shared with the deadline's handler, which may run after this object
};

}  // namespace solard::server
