#include "server/ws/session.hpp"

#include <algorithm>
#include <boost/system/system_error.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#include "server/config/random_bits.hpp"
#include "server/http/run_until.hpp"
#include "server/observe/log.hpp"
#include "server/observe/repeated_trouble.hpp"
#include "server/ws/conversation.hpp"
#include "server/ws/event_rate.hpp"
#include "server/ws/liveness.hpp"
#include "server/ws/socket.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;
using Time = Wakeup::Clock::time_point;

constexpr std::size_t max_invalid_messages = 20;
constexpr std::size_t max_control_frames = 1000;
constexpr std::chrono::seconds flood_window{10};
constexpr double max_jitter = 0.2;
constexpr std::size_t large_frame = 64 << 10;  // bytes; the memory of a larger frame is freed

// Codes of RFC 6455, section 7.4. IANA's registry of close codes added 1012 and 1013.
constexpr std::uint16_t close_going_away = 1001;
constexpr std::uint16_t close_not_text = 1003;
constexpr std::uint16_t close_flood = 1008;
constexpr std::uint16_t close_internal = 1011;
constexpr std::uint16_t close_restart = 1012;
constexpr std::uint16_t close_try_again_later = 1013;
constexpr std::string_view input_refused = "the server has too much unfinished input; try again later";
constexpr std::chrono::seconds refused_input_limit{2};  // for the closing handshake after refused input

// A whole close frame with code 1013 and a reason, for a socket that is closed to make room for a new
// connection.
constexpr std::string_view farewell = "\x88\x2d\x03\xf5the server has reached its connection limit";
static_assert(farewell[1] == farewell.size() - 2);

WsLivenessLimits liveness_limits(const AppConfig& config) {
    constexpr double parts = 1 << 16;
    return {.ping_interval = config.ws_ping_interval,
            .pong_timeout = config.ws_pong_timeout,
            .idle_timeout = config.ws_idle_timeout,
            .max_age = config.ws_max_age,
            .jitter = max_jitter * static_cast<double>(random_bits() & 0xffff) / parts};
}

class WsSession {
  public:
    WsSession(ResponseService& responses, ServerState& state, Stream stream, WsUpgrade upgrade)
        : config_(responses.generation().config),
          state_(state),
          upgrade_(std::move(upgrade)),
          outbox_capacity_(responses.io().get_executor()),
          conversation_(
              std::make_shared<WsConversation>(responses, state, upgrade_.caller, upgrade_.extensions)),
          socket_(
              std::move(stream), static_cast<std::size_t>(config_.ws_max_message_size),
              [this](WsSocket::Control control) { on_control_frame(control); },
              [this] { close(close_flood, "a message has too many fragments"); }),
          liveness_(liveness_limits(config_), Wakeup::Clock::now()),
          input_charge_(state.waiting_memory, memory_owner(upgrade_.caller),
                        [this] { close(close_try_again_later, input_refused); }),
          frame_charge_(state.waiting_memory, memory_owner(upgrade_.caller), WaitingKind::output,
                        [this](std::size_t) {
                            frame_charge_.resize(0);
                            socket_.stream().close();
                        }) {
        socket_.stream().set_farewell(farewell);
        state_.sockets.insert(&conversation_->wakeup());
    }
    ~WsSession() {
        state_.sockets.erase(&conversation_->wakeup());
        conversation_->end();
    }
    WsSession(const WsSession&) = delete;
    WsSession& operator=(const WsSession&) = delete;

    // Throws system_error if the client is gone.
    asio::awaitable<void> run() {
        socket_.stream().expires_after(config_.header_timeout);
        WsSocket::Handshake handshake{upgrade_.key, upgrade_.subprotocol, upgrade_.request_id};
        auto accepting = socket_.accept(std::move(handshake));
        co_await std::move(accepting);
        socket_.stream().expires_never();
        auto writing = write_all();
        auto reading = read_all();
        co_await run_until(std::move(writing), std::move(reading));
    }
    std::string summary() const {
        return upgrade_.request_id + " socket closed with " +
               std::to_string(close_code_.value_or(socket_.close_code())) + " after " +
               std::to_string(conversation_->num_responses()) + " responses";
    }

  private:
    asio::awaitable<void> read_all() {
        for (;;) {
            while (conversation_->is_full()) co_await outbox_capacity_.sleep_until(Time::max());
            auto reading = socket_.read(input_charge_);
            auto message = co_await std::move(reading);
            if (message.kind == WsSocket::Kind::closed) co_return;
            const Time now = Wakeup::Clock::now();
            liveness_.note_input(now);
            liveness_.note_activity(now);
            if (message.kind == WsSocket::Kind::binary) close(close_not_text, "messages must be text");
            if (close_code_) continue;  // only the closing handshake is left
            check_age(now);
            if (message.kind == WsSocket::Kind::lost) {
                conversation_->on_lost_message();
                continue;
            }
            auto handling = handle(std::move(message.text));
            const auto result = co_await std::move(handling);
            update_phase();
            const bool too_many_invalid =
                result == WsConversation::MessageResult::invalid && invalid_messages_.note(now);
            if (too_many_invalid || result == WsConversation::MessageResult::flood)
                close(close_flood, "too many invalid messages were sent, or too many requests wait");
        }
    }

    asio::awaitable<WsConversation::MessageResult> handle(std::string text) {
        std::string problem;
        try {
            auto handling = conversation_->on_message(std::move(text), input_charge_);
            co_return co_await std::move(handling);
        } catch (const boost::system::system_error&) {
            throw;  // ends the session
        } catch (const std::bad_alloc&) {
            input_charge_.resize(0);  // the memory of the text was freed
            conversation_->on_lost_message();
            co_return WsConversation::MessageResult::ok;
        } catch (const std::exception& e) {
            problem = e.what();
        }
        static RepeatedTrouble trouble;
        trouble.log(LogLevel::error, upgrade_.request_id + " " + problem);
        close(close_internal, "internal error");
        co_return WsConversation::MessageResult::ok;
    }

    void on_control_frame(WsSocket::Control control) {
        const Time now = Wakeup::Clock::now();
        liveness_.note_input(now);
        if (control == WsSocket::Control::close) {
            peer_closed_ = true;
            conversation_->end();
            conversation_->wakeup().notify();
        }
        if (control_frames_.note(now)) close(close_flood, "too many control frames");
    }

    asio::awaitable<void> write_all() {
        std::string frame;
        for (bool open = true; open;) {
            const Time now = Wakeup::Clock::now();
            if (peer_closed_ && !close_code_) {  // the reader is about to end, which ends this coroutine too
                co_await conversation_->wakeup().sleep_until(Time::max());
                continue;
            }
            if (next_frame(now, frame)) {
                auto sending = send(frame);
                co_await std::move(sending);
                continue;
            }
            if (frame.capacity() > large_frame) frame.shrink_to_fit();
            note_partial_input(now);
            check_end(now);
            update_phase();
            const bool busy = conversation_->is_busy();
            const auto verdict = liveness_.verdict(now, busy);
            if (close_code_) {
                if (input_charge_.is_refused()) socket_.stream().expires_after(refused_input_limit);
                auto closing = socket_.close(*close_code_, close_reason_);
                co_await std::move(closing);
                open = false;
            } else if (verdict == WsLiveness::Verdict::lost) {
                open = false;
            } else if (verdict == WsLiveness::Verdict::ping) {
                liveness_.note_ping_sent(now);
                auto pinging = socket_.ping();
                co_await std::move(pinging);
            } else {
                const Time retires_at = retired_ ? Time::max() : liveness_.retires_at();
                const Time due = std::min({conversation_->due(), liveness_.due(busy), retires_at});
                co_await conversation_->wakeup().sleep_until(due);
            }
        }
        socket_.stream().close();
    }

    bool next_frame(Time now, std::string& frame) {
        if (!conversation_->next_frame(now, frame)) return false;
        outbox_capacity_.notify();
        if (!conversation_->is_busy()) liveness_.note_activity(now);
        return true;
    }

    // If the socket has no response and no frame to send, it may be closed to make room for a new connection.
    void update_phase() {
        using Phase = Stream::Phase;
        const bool is_idle = conversation_->is_interruptible() && !is_sending_;
        try {
            socket_.stream().set_phase(is_idle ? Phase::interruptible : Phase::busy);
        } catch (const std::bad_alloc&) {
            // The listener does not know that it may close this socket. Nothing else depends on it.
        }
    }

    asio::awaitable<void> send(const std::string& frame) {
        if (!frame_charge_.resize(frame.capacity())) socket_.stream().close();
        auto writing = socket_.write(frame);
        is_sending_ = true;
        co_await std::move(writing);
        is_sending_ = false;
        frame_charge_.resize(0);
    }

    // Makes the writer close the socket after the frames which wait in the outbox. Events of responses are no
    // longer sent. If close() was called before, the first code and reason stay.
    void close(std::uint16_t code, std::string_view reason) {
        if (close_code_) return;
        close_code_ = code;
        close_reason_ = reason;
        conversation_->end();
        conversation_->wakeup().notify();
    }

    // Bytes of a partly received frame count as activity: a client cannot send a pong in the middle of a
    // frame.
    void note_partial_input(Time now) {
        const auto num_read = socket_.stream().num_read();
        if (std::exchange(num_read_, num_read) != num_read) liveness_.note_input(now);
    }

    void check_age(Time now) {
        if (retired_ || !liveness_.too_old(now)) return;
        retired_ = true;
        conversation_->retire();
    }

    // Does nothing if a response is in flight, a request waits or a frame waits. Otherwise begins to close
    // the socket if the server ends, or if the socket is too old or has been idle for too long.
    void check_end(Time now) {
        check_age(now);
        if (!conversation_->idle()) return;
        if (state_.is_ending()) return close(close_restart, "the server restarts");
        if (retired_) return close(close_restart, "the connection is too old; connect again");
        if (liveness_.verdict(now, false) == WsLiveness::Verdict::idle)
            close(close_going_away, "the socket was idle for too long");
    }

    const AppConfig& config_;
    ServerState& state_;
    const WsUpgrade upgrade_;
    Wakeup outbox_capacity_;  // wakes the reader when the outbox has room again
    const std::shared_ptr<WsConversation> conversation_;
    WsSocket socket_;
    WsLiveness liveness_;
    InputCharge input_charge_;     // of the message which is being read or parsed
    WaitingAccount frame_charge_;  // of the frame which is being written
    EventRate invalid_messages_{max_invalid_messages, flood_window};
    EventRate control_frames_{max_control_frames, flood_window};
    std::optional<std::uint16_t> close_code_;
    std::string close_reason_;
    std::uint64_t num_read_ = 0;  // bytes of the stream which note_partial_input() has seen
    // True if a message is being sent. close_from_outside() must not interrupt it.
    bool is_sending_ = false;
    bool retired_ = false;
    bool peer_closed_ = false;
};

}  // namespace

asio::awaitable<void> run_ws_session(ResponseService* responses, ServerState* state, Stream stream,
                                     WsUpgrade upgrade) {
    WsSession session(*responses, *state, std::move(stream), std::move(upgrade));
    try {
        co_await session.run();
    } catch (const boost::system::system_error& gone) {
        log(LogLevel::debug, std::string("the client of a socket is gone: ") + gone.what());
    }
    log(LogLevel::info, session.summary());
}

}  // namespace solard::server
