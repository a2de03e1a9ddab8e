// One byte stream of a client, whatever carries it. Sessions know this class only, so that the protocols are
// instantiated once.
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <utility>

namespace solard {

// TCP or Unix socket. Models Asio's AsyncReadStream and AsyncWriteStream. I/O thread only.
class Stream {
  public:
    using Socket = boost::asio::generic::stream_protocol::socket;
    using executor_type = Socket::executor_type;

    explicit Stream(Socket socket) : state_(std::make_shared<State>(std::move(socket))) {}

    executor_type get_executor() { return state_->socket.get_executor(); }

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return state_->socket.async_read_some(buffers, std::forward<Token>(token));
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return state_->socket.async_write_some(buffers, std::forward<Token>(token));
    }

    // Closes the stream, failing what is pending, unless called again within `limit`.
    void expires_after(std::chrono::steady_clock::duration limit);
    void expires_never() { state_->deadline.expires_at(std::chrono::steady_clock::time_point::max()); }
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
        bool idle = true;
    };
    std::shared_ptr<State> state_;  // shared with the deadline's handler, which may run after this object
};

}  // namespace solard
