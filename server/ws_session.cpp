#include "server/ws_session.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/api/error.hpp"
#include "server/api/ws_events.hpp"
#include "server/api/ws_requests.hpp"
#include "server/app.hpp"
#include "server/event_rate.hpp"
#include "server/helper.hpp"
#include "server/lane_streams.hpp"
#include "server/log.hpp"
#include "server/response_life.hpp"
#include "server/run_until.hpp"
#include "server/version.hpp"
#include "server/ws_lanes.hpp"
#include "server/ws_liveness.hpp"
#include "server/ws_socket.hpp"

namespace solard {
namespace {

namespace asio = boost::asio;
using Time = Wakeup::Clock::time_point;

constexpr std::size_t max_outbox = 64;  // then the client must read before it is heard again
constexpr std::size_t max_slips = 20;
constexpr std::size_t max_control_frames = 1000;
constexpr std::chrono::seconds abuse_window{10};
constexpr double max_jitter = 0.2;

// RFC 6455, section 7.4; 1012 is of its registry.
constexpr std::uint16_t close_going_away = 1001;
constexpr std::uint16_t close_not_text = 1003;
constexpr std::uint16_t close_abuse = 1008;
constexpr std::uint16_t close_internal = 1011;
constexpr std::uint16_t close_restart = 1012;

WsLaneLimits lane_limits(const AppConfig& config) {
    return {.max_in_flight = static_cast<std::size_t>(config.ws_max_in_flight),
            .max_lanes = static_cast<std::size_t>(config.ws_max_lanes),
            .max_waiting = static_cast<std::size_t>(config.ws_max_waiting),
            .max_waiting_bytes = static_cast<std::size_t>(config.ws_max_waiting_size)};
}

WsLivenessLimits liveness_limits(const AppConfig& config) {
    constexpr double parts = 1 << 16;
    return {.ping_interval = config.ws_ping_interval,
            .pong_timeout = config.ws_pong_timeout,
            .idle_timeout = config.ws_idle_timeout,
            .max_age = config.ws_max_age,
            .jitter = max_jitter * static_cast<double>(random_bits() & 0xffff) / parts};
}

Error plain_error(errc code, std::string param = {}) {
    return {code, std::string(message_of(code)), std::move(param)};
}

// Shared by its two loops and by the creations of responses, which may outlast them.
class WsSession : public std::enable_shared_from_this<WsSession> {
  public:
    WsSession(App& app, Stream stream, WsUpgrade upgrade)
        : app_(app),
          upgrade_(std::move(upgrade)),
          wakeup_(app.io.get_executor()),
          room_(app.io.get_executor()),
          socket_(std::move(stream), static_cast<std::size_t>(app.config.ws_max_message_size),
                  [this] { on_control_frame(); }),
          lanes_(lane_limits(app.config)),
          streams_(app, wakeup_, upgrade_.extensions),
          liveness_(liveness_limits(app.config), Wakeup::Clock::now()) {
        app_.sockets.insert(&wakeup_);
        if (upgrade_.caller.key) ++app_.key_states[*upgrade_.caller.key].num_sockets;
    }
    ~WsSession() {
        app_.sockets.erase(&wakeup_);
        if (upgrade_.caller.key) --app_.key_states[*upgrade_.caller.key].num_sockets;
    }
    WsSession(const WsSession&) = delete;
    WsSession& operator=(const WsSession&) = delete;

    // Throws system_error when the client is gone.
    asio::awaitable<void> run() {
        socket_.stream().expires_after(app_.config.header_timeout);
        WsSocket::Handshake handshake{upgrade_.key, upgrade_.subprotocol, upgrade_.request_id};
        auto accepting = socket_.accept(std::move(handshake));
        co_await std::move(accepting);
        socket_.stream().expires_never();
        if (upgrade_.extensions) outbox_.push_back(greeting());
        auto writing = write_all();
        auto reading = read_all();
        co_await run_until(std::move(writing), std::move(reading));
    }
    // Responses that nobody follows any more end here, but for resumable ones.
    void end() {
        ended_ = true;
        streams_.clear();
        socket_.stream().close();
    }
    std::string summary() const {
        return "socket closed with " + std::to_string(close_code_.value_or(socket_.close_code())) +
               " after " + std::to_string(num_responses_) + " responses";
    }

  private:
    std::string greeting() const {
        const AppConfig& config = app_.config;
        return session_event(
            {.version = version_text,
             .model = app_.model.names.front(),
             .context_length = app_.model.context_length,
             .max_message_bytes = config.ws_max_message_size,
             .max_in_flight = config.ws_max_in_flight,
             .max_lanes = config.ws_max_lanes,
             .max_waiting = config.ws_max_waiting,
             .resume_seconds = std::chrono::duration<double>(config.resume_timeout).count()});
    }

    // --- what the client says ---

    asio::awaitable<void> read_all() {
        for (;;) {
            while (outbox_.size() >= max_outbox) co_await room_.sleep_until(Time::max());
            auto reading = socket_.read();
            const auto message = co_await std::move(reading);
            if (message.kind == WsSocket::Kind::closed) co_return;
            const Time now = Wakeup::Clock::now();
            liveness_.heard(now);
            liveness_.active(now);
            if (message.kind == WsSocket::Kind::binary) close(close_not_text, "messages are text");
            if (close_code_) continue;  // only the closing handshake is left
            auto handling = handle(std::string(message.text));
            co_await std::move(handling);
            wakeup_.notify();
        }
    }

    asio::awaitable<void> handle(std::string text) {
        const std::size_t size = text.size();
        auto parsing = run_on_helper(app_, size <= parse_inline_bytes,
                                     [text = std::move(text), unknown = app_.unknown_fields()] {
                                         return parse_client_message(text, unknown);
                                     });
        auto message = co_await std::move(parsing);
        if (auto* create = std::get_if<CreateMessage>(&message.body)) {
            add_request(message, std::move(create->request), size);
            co_return;
        }
        const auto done = std::visit([&](const auto& body) { return act(message, body); }, message.body);
        if (!done) tell(done.error(), message.lane, message.event_id);
    }

    void add_request(const ClientMessage& message, result<ResponseRequest> request, std::size_t size) {
        if (liveness_.too_old(Wakeup::Clock::now()))
            request = plain_error(errc::websocket_connection_limit_reached);
        const auto added = lanes_.add(message.lane, {message.event_id, size, std::move(request)});
        if (!added) note_slip();
        // One that is too much is told so at its turn; one whose lane cannot be, here.
        if (!added && added.error().code != errc::websocket_queue_full)
            tell(added.error(), message.lane, message.event_id);
        begin_turns();
    }

    result<void> act(const ClientMessage&, const Error& slip) {
        note_slip();
        return slip;
    }
    static result<void> act(const ClientMessage&, const CreateMessage&) { return {}; }

    result<void> act(const ClientMessage& message, const CancelMessage& cancel) {
        auto target = cancel.response_id ? find_running(*cancel.response_id) : lanes_.cancel(message.lane);
        if (cancel.queued) lanes_.cancel_waiting(message.lane);
        if (target && *target) cancel_response(**target);
        begin_turns();
        if (!target && !cancel.queued) return target.error();
        return {};
    }

    result<void> act(const ClientMessage& message, const AttachMessage& attach) {
        const auto record = find_response(app_, attach.response_id, upgrade_.caller);
        if (!record) return record.error();
        const ResponseLog& log = *(*record)->log;
        const auto newest = ResponseEvents::newest_number(log.num_entries(), log.terminal());
        if (attach.starting_after >= newest && log.terminal())
            return plain_error(errc::response_already_completed, "starting_after");
        if (attach.starting_after > newest)
            return Error{errc::invalid_value, "starting_after is no number of an event.", "starting_after"};
        if (auto attached = lanes_.attach(message.lane, *record); !attached) return attached.error();
        streams_.add(message.lane, *record, attach.starting_after, Wakeup::Clock::now());
        return {};
    }

    result<void> act(const ClientMessage&, const DetachMessage& detach) {
        const auto record = streams_.find(detach.response_id);
        if (!record) return plain_error(errc::response_not_found, "response_id");
        if (!record->facts.request.resumable)
            return Error{errc::invalid_value, "Only a resumable response can be left.", "response_id"};
        lanes_.detach(*streams_.remove(detach.response_id));
        begin_turns();
        return {};
    }

    result<void> act(const ClientMessage&, const PingMessage& ping) {
        const auto now = std::chrono::system_clock::now().time_since_epoch();
        outbox_.push_back(
            pong_event(ping.t, std::chrono::duration_cast<std::chrono::milliseconds>(now).count()));
        return {};
    }

    result<void> act(const ClientMessage& message, const SteerMessage&) {
        outbox_.push_back(steer_failed_event(message.lane, message.event_id));
        return {};
    }

    void note_slip() {
        if (slips_.note(Wakeup::Clock::now())) close(close_abuse, "too many messages in error");
    }

    void on_control_frame() {
        const Time now = Wakeup::Clock::now();
        liveness_.heard(now);
        if (control_frames_.note(now)) close(close_abuse, "too many control frames");
    }

    // --- responses ---

    // Also one that another socket of this caller began.
    result<ResponsePtr> find_running(const std::string& id) const {
        auto record = streams_.find(id);
        if (!record) record = lanes_.find_unstored(id);
        if (!record) {
            auto stored = find_response(app_, id, upgrade_.caller);
            if (!stored) return stored.error();
            record = *std::move(stored);
        }
        if (record->log->terminal()) return plain_error(errc::response_already_completed, "response_id");
        return record;
    }

    ResponsePtr find_parent(const ResponseRequest& request) const {
        const auto& id = request.previous_response_id;
        if (!id) return nullptr;
        const auto unstored = lanes_.find_unstored(*id);
        if (unstored) return unstored;
        return app_.responses.find(*id, owner_of(upgrade_.caller), ResponseStore::Clock::now());
    }

    void begin_turns() {
        while (!ended_) {
            auto turn = lanes_.next();
            if (!turn) return;
            if (turn->request.request) {
                auto beginning = begin(shared_from_this(), *std::move(turn));
                asio::co_spawn(app_.io, std::move(beginning),
                               [self = shared_from_this()](const std::exception_ptr& problem) {
                                   if (problem) self->fail(problem);
                               });
            } else {
                tell(turn->request.request.error(), turn->lane, turn->request.event_id);
                lanes_.refused(turn->lane, std::nullopt);
            }
        }
    }

    // Apart from the reader, which goes on while a prompt is tokenized.
    static asio::awaitable<void> begin(std::shared_ptr<WsSession> self, WsLanes::Turn turn) {
        auto request = *std::move(turn.request.request);
        const auto parent_id = request.previous_response_id;
        auto parent = self->find_parent(request);
        auto creating =
            create_response(self->app_, std::move(request), self->upgrade_.caller, std::move(parent));
        auto created = co_await std::move(creating);
        if (created) {
            self->begun(turn.lane, *created);
        } else {
            self->tell(created.error(), turn.lane, turn.request.event_id);
            self->lanes_.refused(turn.lane, parent_id);
            self->begin_turns();
        }
        self->wakeup_.notify();
    }

    void begun(const std::string& lane, const ResponsePtr& record) {
        ++num_responses_;
        const bool wanted = lanes_.begun(lane, record);
        streams_.add(lane, record, -1, Wakeup::Clock::now());
        if (!wanted) cancel_response(*record);
    }

    void fail(const std::exception_ptr& problem) {
        try {
            std::rethrow_exception(problem);
        } catch (const std::exception& e) {
            log(LogLevel::error, upgrade_.request_id + " " + e.what());
        }
        close(close_internal, "internal error");
    }

    // --- what the client hears ---

    void tell(const Error& error, std::string_view lane, std::string_view event_id) {
        app_.metrics.error(error.code);
        outbox_.push_back(error_event(error, lane, event_id));
        wakeup_.notify();
    }

    // Once everything that is ready has gone out. The first reason counts.
    void close(std::uint16_t code, std::string_view reason) {
        if (close_code_) return;
        close_code_ = code;
        close_reason_ = reason;
        wakeup_.notify();
    }

    asio::awaitable<void> write_all() {
        std::string frame;
        for (bool open = true; open;) {
            const Time now = Wakeup::Clock::now();
            frame.clear();
            if (next_frame(now, frame)) {
                auto sending = send(frame);
                co_await std::move(sending);
                continue;
            }
            check_end(now);
            const auto verdict = liveness_.verdict(now, !lanes_.idle());
            if (close_code_) {
                auto closing = socket_.close(*close_code_, close_reason_);
                co_await std::move(closing);
                open = false;
            } else if (verdict == WsLiveness::Verdict::lost) {
                open = false;
            } else if (verdict == WsLiveness::Verdict::ping) {
                liveness_.pinged(now);
                socket_.stream().expires_without_progress(app_.config.write_timeout);
                auto pinging = socket_.ping();
                co_await std::move(pinging);
                socket_.stream().expires_never();
            } else if (outbox_.empty()) {
                const Time due = std::min({streams_.due(), liveness_.due(!lanes_.idle()), retires()});
                co_await wakeup_.sleep_until(due);
            }
        }
        socket_.stream().close();
    }

    asio::awaitable<void> send(std::string_view frame) {
        socket_.stream().expires_without_progress(app_.config.write_timeout);
        auto writing = socket_.write(frame);
        co_await std::move(writing);
        socket_.stream().expires_never();
    }

    bool next_frame(Time now, std::string& frame) {
        if (!outbox_.empty()) {
            frame = std::move(outbox_.front());
            outbox_.pop_front();
            room_.notify();
            return true;
        }
        // A client that must go hears no more of what it asked for.
        if (close_code_) return false;
        for (;;) {
            std::optional<LaneStreams::Ended> ended;
            if (!streams_.next(now, frame, ended)) return false;
            if (ended) finish(*ended);
            if (!frame.empty()) return true;
        }
    }

    // The books are right before the terminal event leaves: a client may answer it at once.
    void finish(const LaneStreams::Ended& ended) {
        const auto& failure = ended.record->log->failure();
        if (failure && failure->code != errc::request_cancelled) app_.metrics.error(failure->code);
        liveness_.active(Wakeup::Clock::now());
        ended.record->running.reset();  // and with it its part of the key's quota
        lanes_.ended(ended.lane);
        begin_turns();
    }

    // Sets what the socket closes with if its time has come.
    void check_end(Time now) {
        if (!retired_ && liveness_.too_old(now)) {
            retired_ = true;
            tell(plain_error(errc::websocket_connection_limit_reached), {}, {});
        }
        if (!lanes_.idle() || !outbox_.empty()) return;
        const auto state = app_.engine.state();
        const bool restarts = state == ServiceState::draining || state == ServiceState::failed;
        if (restarts || retired_)
            return close(close_restart, restarts ? "the server restarts" : "connect again");
        if (liveness_.verdict(now, false) == WsLiveness::Verdict::idle) close(close_going_away, "idle");
    }

    Time retires() const { return retired_ ? Time::max() : liveness_.retires(); }

    App& app_;
    const WsUpgrade upgrade_;
    Wakeup wakeup_;  // of the writer
    Wakeup room_;    // of the reader, in the outbox
    WsSocket socket_;
    WsLanes lanes_;
    LaneStreams streams_;
    WsLiveness liveness_;
    std::deque<std::string> outbox_;  // what is no event of a response
    EventRate slips_{max_slips, abuse_window};
    EventRate control_frames_{max_control_frames, abuse_window};
    std::optional<std::uint16_t> close_code_;
    std::string close_reason_;
    bool retired_ = false;
    bool ended_ = false;
    std::size_t num_responses_ = 0;
};

}  // namespace

asio::awaitable<void> run_ws_session(App* app, Stream stream, WsUpgrade upgrade) {
    const std::string id = upgrade.request_id;
    auto session = std::make_shared<WsSession>(*app, std::move(stream), std::move(upgrade));
    std::exception_ptr problem;
    try {
        co_await session->run();
    } catch (const boost::system::system_error&) {  // the client is gone
    } catch (...) {
        problem = std::current_exception();
    }
    session->end();
    log(LogLevel::info, id + " " + session->summary());
    if (problem) std::rethrow_exception(problem);
}

}  // namespace solard
