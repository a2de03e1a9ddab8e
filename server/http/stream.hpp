// One byte stream of a client, over TCP or a Unix socket. Sessions use only this class, so that the templates
// of Beast are instantiated for one type only.
#pragma once

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "server/http/progress_watch.hpp"
#include "server/observe/operation_memory.hpp"

namespace solard::server {

// Models Asio's AsyncReadStream and AsyncWriteStream. I/O thread only.
class Stream {
  public:
    using Socket = boost::asio::generic::stream_protocol::socket;
    using executor_type = Socket::executor_type;

    // The activity that would be interrupted if code outside the session closed the stream.
    enum class Phase : std::uint8_t {
        idle,           // nothing: the stream is new or between two requests
        interruptible,  // the beginning of a request, or a WebSocket without a response
        busy,           // a request or its answer
    };

    // The stream closes itself if bytes wait for the client during `write_timeout` and the client accepts
    // fewer than 3,000 bytes in this time. A slow client is still served, but a client that only pretends to
    // read is not.
    Stream(Socket socket, std::chrono::steady_clock::duration write_timeout)
        : state_(std::make_shared<State>(std::move(socket), write_timeout)) {}

    // Returns network_of() for the peer.
    std::uint64_t peer_network() const;

    executor_type get_executor() { return state_->socket.get_executor(); }

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        auto step = [state = state_, buffers, begun = false](auto& self, boost::system::error_code ec = {},
                                                             std::size_t size = 0) mutable {
            if (std::exchange(begun, true)) {
                state->note_read(buffers, size);
                return self.complete(ec, size);
            }
            auto& socket = state->socket;
            // Moving `self` also moves this lambda, so the buffers are copied first.
            const Buffers space = buffers;  // NOLINT(performance-unnecessary-copy-initialization)
            auto& memory = state->read_memory;
            socket.async_read_some(space, with_memory(memory, std::move(self)));
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
            // As in async_read_some(), the buffers are copied before `self` is moved.
            const Buffers data = buffers;  // NOLINT(performance-unnecessary-copy-initialization)
            watch_progress(state);
            auto& memory = state->write_memory;
            socket.async_write_some(data, with_memory(memory, std::move(self)));
        };
        return boost::asio::async_compose<Token, void(boost::system::error_code, std::size_t)>(
            std::move(step), token, state_->socket);
    }

    // Closes the stream after `limit`; pending reads and writes then fail. Replaces the deadline that was set
    // before.
    void expires_after(std::chrono::steady_clock::duration limit);
    void expires_never() { state_->deadline.expires_at(std::chrono::steady_clock::time_point::max()); }
    std::uint64_t num_read() const { return state_->num_read; }  // bytes since the stream was opened
    std::uint64_t num_written() const { return state_->num_written; }
    bool is_open() const { return state_->socket.is_open(); }

    // Ends the pending reads and writes with operation_aborted. The stream stays open.
    void cancel();
    // Ends the sending direction, so that the peer reads end of file.
    void shutdown_send();
    void close();

    // Calls `observe` with the bytes of every later read, before the read completes. If `observe` is empty,
    // reads are no longer observed.
    void observe_reads(std::function<void(std::string_view)> observe) {
        state_->observe_read = std::move(observe);
    }

    void set_phase(Phase phase);
    // Calls `on_change` whenever the phase becomes or ceases to be Phase::busy. `interruptible` is true if
    // the phase is not busy now.
    void observe_interruptible(std::function<void(bool interruptible)> on_change) {
        state_->on_interruptible = std::move(on_change);
    }
    // Sets `bytes`, which are sent when code outside the session closes the stream in Phase::interruptible.
    // If the kernel's buffer has no room for the bytes, they are not sent. They must stay valid as long as
    // the stream exists.
    void set_farewell(std::string_view bytes) { state_->farewell = bytes; }
    // Returns a function that closes the stream from outside its session, if the stream still exists.
    auto make_closer() const {
        return [weak = std::weak_ptr(state_)](bool only_if_idle) {
            const auto state = weak.lock();
            if (state && (state->phase == Phase::idle || !only_if_idle)) state->close_from_outside();
        };
    }

  private:
    struct State {
        State(Socket s, std::chrono::steady_clock::duration timeout);
        void close();
        void close_from_outside();
        std::size_t num_unaccepted();  // number of written bytes that the peer has not accepted yet
        template <class Buffers>
        void note_read(const Buffers& buffers, std::size_t size) {
            num_read += size;
            if (!observe_read) return;
            for (auto part = boost::asio::buffer_sequence_begin(buffers); size > 0; ++part) {
                const boost::asio::const_buffer bytes(*part);
                const std::size_t count = std::min(size, bytes.size());
                observe_read({static_cast<const char*>(bytes.data()), count});
                size -= count;
            }
        }

        // At most one read and one write are pending at a time. The sizes hold the reads and writes of
        // requests, answers and messages, so none of these allocates.
        OperationMemory<1024> read_memory;
        OperationMemory<1280> write_memory;
        Socket socket;
        boost::asio::steady_timer deadline;
        std::uint64_t num_read = 0;  // bytes
        std::uint64_t num_written = 0;
        std::function<void(std::string_view)> observe_read;

        const std::chrono::steady_clock::duration write_timeout;
        boost::asio::steady_timer progress_timer;  // runs while bytes wait for the client
        bool is_watched = false;
        ProgressWatch progress;
        std::uint64_t num_accepted = 0;  // bytes; updated by watch_progress()

        Phase phase = Phase::idle;
        std::function<void(bool)> on_interruptible;
        std::string_view farewell;
    };
    static void watch_progress(const std::shared_ptr<State>& state);

    std::shared_ptr<State> state_;  // shared with handlers, which may outlive this object
};

}  // namespace solard::server
