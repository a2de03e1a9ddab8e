#include "server/ws/conversation.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>
#include <variant>

#include "server/api/error.hpp"
#include "server/api/response_events.hpp"
#include "server/api/ws_events.hpp"
#include "server/config/version.hpp"
#include "server/generation/parse_body.hpp"
#include "server/observe/repeated_trouble.hpp"
#include "server/observe/spawn.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

constexpr std::size_t max_outbox = 64;  // frames
// The maximum number of requests which wait on all lanes together. Requests which will be refused are counted
// too.
constexpr std::size_t max_queued_creates = 1024;

WsLaneLimits lane_limits(const AppConfig& config) {
    return {.max_in_flight = static_cast<std::size_t>(config.ws_max_in_flight),
            .max_lanes = static_cast<std::size_t>(config.ws_max_lanes),
            .max_waiting = static_cast<std::size_t>(config.ws_max_waiting),
            .max_waiting_bytes = static_cast<std::size_t>(config.ws_max_waiting_size)};
}

}  // namespace

WsConversation::WsConversation(ResponseService& responses, ServerState& state, const Caller& caller,
                               bool extensions)
    : responses_(responses),
      generation_(responses.generation()),
      state_(state),
      caller_(caller),
      extensions_(extensions),
      wakeup_(responses.io().get_executor()),
      lanes_(lane_limits(generation_.config)),
      waiting_charge_(generation_.waiting_memory, memory_owner(caller), WaitingKind::request,
                      [this](std::size_t excess) {
                          lanes_.refuse_newest(excess, no_waiting_memory());
                          waiting_charge_.resize(lanes_.memory());
                          turns_are_due_ = true;
                          wakeup_.notify();
                      }),
      streams_(responses, wakeup_, extensions) {
    if (extensions) enqueue(greeting());
    // This is the last statement, because the destructor does not run if the constructor throws.
    generation_.gate.count_socket_opened(caller_);
}

WsConversation::~WsConversation() {
    generation_.gate.count_socket_closed(caller_);
    // The session has already reported the end of the connection, but a request of the socket may have been
    // admitted after that.
    if (!caller_.key)
        generation_.engine.connection_closed({.connection = caller_.connection, .network = caller_.owner});
}

bool WsConversation::is_full() const {
    return outbox_.size() >= max_outbox;
}

std::string WsConversation::greeting() const {
    const AppConfig& config = generation_.config;
    return session_event({.version = version_text,
                          .model = generation_.model.names.front(),
                          .context_length = generation_.model.context_length,
                          .max_message_bytes = config.ws_max_message_size,
                          .max_in_flight = config.ws_max_in_flight,
                          .max_lanes = config.ws_max_lanes,
                          .max_waiting = config.ws_max_waiting,
                          .resume_seconds = std::chrono::duration<double>(config.resume_timeout).count()});
}

void WsConversation::retire() {
    retired_ = true;
    announce_age_limit();
}

// Sends nothing until the default lane is free: an SDK would mistake an error without a lane for the answer
// to its request on the default lane.
void WsConversation::announce_age_limit() {
    if (!retired_ || !lanes_.is_free("") || std::exchange(age_limit_announced_, true)) return;
    send_error(default_error(errc::websocket_connection_limit_reached), {}, {});
}

void WsConversation::end() {
    ended_ = true;
    streams_.clear();
}

// --- messages of the client ---

asio::awaitable<WsConversation::MessageResult> WsConversation::on_message(std::string text,
                                                                          InputCharge& charge) {
    const std::size_t size = text.size();
    ClientMessage message;
    try {
        const JobSource source{caller_.owner, &charge};
        auto parsing = parse_body(generation_, source, std::move(text), parse_client_message);
        auto parsed = co_await std::move(parsing);
        // The memory of the text was freed.
        charge.resize(0);
        // The session closes the socket, because the charge was refused.
        if (!parsed) co_return MessageResult::ok;
        message = *std::move(parsed);
        co_return handle(message, size);
    } catch (const std::bad_alloc&) {
        charge.resize(0);
        send_error({errc::server_error, {}}, message.lane, message.event_id);
    }
    co_return MessageResult::ok;
}

void WsConversation::on_lost_message() {
    send_error({errc::server_error, {}}, {}, {});
}

WsConversation::MessageResult WsConversation::handle(ClientMessage& message, std::size_t size) {
    if (auto* create = std::get_if<CreateMessage>(&message.body))
        return add_request(message, std::move(*create), size);
    const auto done = std::visit([&](const auto& body) { return act(message, body); }, message.body);
    if (!done) send_error(done.error(), message.lane, message.event_id);
    return std::holds_alternative<Error>(message.body) ? MessageResult::invalid : MessageResult::ok;
}

WsConversation::MessageResult WsConversation::add_request(const ClientMessage& message, CreateMessage create,
                                                          std::size_t size) {
    if (retired_) create.request = default_error(errc::websocket_connection_limit_reached);
    if (create.request) {
        if (auto fits = responses_.check_size(*create.request); !fits) create.request = fits.error();
    }
    const std::size_t memory =
        sizeof(LaneRequest) + (create.request ? heap_bytes(*create.request) : std::size_t{0});
    const auto added = lanes_.add(
        message.lane, {message.event_id, size, std::move(create.request), std::move(create.parent), memory});
    // If too many requests wait, the lane sends the error when it is this request's turn. If the socket has
    // no lane left for the request, the error is sent here.
    const bool has_lane = added || added.error().code == errc::websocket_queue_full;
    if (!has_lane) send_error(added.error(), message.lane, message.event_id);
    begin_turns();
    charge_waiting();
    if (lanes_.num_waiting() > max_queued_creates) return MessageResult::flood;
    return has_lane ? MessageResult::ok : MessageResult::invalid;
}

// Charges the waiting requests. If the budget has no room, refuses the newest request.
void WsConversation::charge_waiting() {
    if (waiting_charge_.resize(lanes_.memory())) return;
    lanes_.refuse_newest(lanes_.memory() - waiting_charge_.bytes(), no_waiting_memory());
    begin_turns();
    waiting_charge_.resize(lanes_.memory());
}

result<void> WsConversation::act(const ClientMessage& message, const CancelMessage& cancel) {
    auto target = cancel.response_id ? find_running(*cancel.response_id) : lanes_.cancel(message.lane);
    if (cancel.queued) lanes_.cancel_waiting(message.lane);
    if (target && *target) cancel_response(**target);
    begin_turns();
    if (!target && (cancel.response_id || !cancel.queued)) return target.error();
    return {};
}

result<void> WsConversation::act(const ClientMessage& message, const AttachMessage& attach) {
    const auto record = responses_.find(attach.response_id, caller_);
    if (!record) return record.error();
    const GenerationLog& log = *(*record)->log;
    const auto newest = ResponseEvents::newest_number((*record)->facts, log.num_entries(), log.terminal());
    if (attach.starting_after >= newest && log.terminal())
        return default_error(errc::response_already_completed, "starting_after");
    if (attach.starting_after > newest)
        return Error{errc::invalid_value,
                     "starting_after must be at most " + std::to_string(newest) +
                         ", the number of the response's newest event, but is " +
                         std::to_string(attach.starting_after) + ".",
                     "starting_after"};
    if (auto allowed = check_num_followers(**record); !allowed) return allowed.error();
    if (auto attached = lanes_.attach(message.lane, *record); !attached) return attached.error();
    try {
        streams_.add(message.lane, *record, attach.starting_after, Wakeup::Clock::now());
    } catch (const std::bad_alloc&) {
        lanes_.detach(message.lane);
        throw;
    }
    return {};
}

result<void> WsConversation::act(const ClientMessage&, const DetachMessage& detach) {
    const auto record = streams_.find(detach.response_id);
    if (!record) return default_error(errc::response_not_found, "response_id");
    if (!record->facts.request.resumable)
        return Error{errc::invalid_value,
                     "Only a resumable response can be detached. Create it with solar.resumable = true.",
                     "response_id"};
    if (const auto lane = streams_.remove(detach.response_id)) lanes_.detach(*lane);
    begin_turns();
    wakeup_.notify();  // the socket may close now if it waited only for this response
    return {};
}

result<void> WsConversation::act(const ClientMessage&, const PingMessage& ping) {
    // The answer would be the event solar:pong, which a client knows only if it uses the extensions.
    if (!extensions_)
        return Error{errc::unknown_event_type,
                     "solar:ping needs the subprotocol solar.responses.v1. Offer it when opening the socket.",
                     "type"};
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    enqueue(pong_event(ping.t, std::chrono::duration_cast<std::chrono::milliseconds>(now).count()));
    return {};
}

result<void> WsConversation::act(const ClientMessage& message, const SteerMessage&) {
    enqueue(steer_failed_event(message.lane, message.event_id));
    return {};
}

// --- responses ---

// Returns the response even if another socket of this caller has created it.
result<ResponsePtr> WsConversation::find_running(const std::string& id) const {
    auto record = streams_.find(id);
    if (!record) record = lanes_.find_unstored(id);
    if (!record) {
        auto stored = responses_.find(id, caller_);
        if (!stored) return stored.error();
        record = *std::move(stored);
    }
    if (record->log->terminal()) return default_error(errc::response_already_completed, "response_id");
    return record;
}

ResponsePtr WsConversation::find_parent(const ResponseRequest& request) const {
    const auto& id = request.previous_response_id;
    if (!id) return nullptr;
    if (auto unstored = lanes_.find_unstored(*id)) return unstored;
    return responses_.find_or_null(*id, caller_);
}

void WsConversation::begin_turns() {
    while (!ended_) {
        auto turn = lanes_.next();
        waiting_charge_.resize(std::min(lanes_.memory(), waiting_charge_.bytes()));
        if (!turn) return;
        if (turn->queued.request) {
            begin_turn(*std::move(turn));
        } else {
            const auto& [lane, queued] = *turn;
            lanes_.refused(lane, queued.parent);
            send_error(queued.request.error(), lane, queued.event_id);
        }
    }
}

void WsConversation::begin_turn(WsLanes::Turn first) {
    TurnPtr turn;
    try {
        turn = std::make_shared<std::optional<WsLanes::Turn>>(std::move(first));
    } catch (const std::bad_alloc&) {
        return fail(std::current_exception(), first);  // nothing was moved
    }
    const auto on_end = [self = shared_from_this(), turn](const std::exception_ptr& problem) {
        if (problem && *turn) self->fail(problem, **turn);
    };
    std::optional<asio::awaitable<void>> beginning;
    try {
        beginning = begin(shared_from_this(), turn);
    } catch (const std::bad_alloc&) {
        return on_end(std::current_exception());
    }
    spawn(responses_.io().get_executor(), *std::move(beginning), on_end);
}

// Runs as a separate coroutine, so that the reader can handle further messages while a prompt is tokenized.
asio::awaitable<void> WsConversation::begin(std::shared_ptr<WsConversation> self, TurnPtr shared_turn) {
    WsLanes::Turn& turn =
        shared_turn->value();  // NOLINT(bugprone-unchecked-optional-access): begin_turn() sets it
    auto request = *std::move(turn.queued.request);
    auto parent = self->find_parent(request);
    // Since its turn has come, the request is no longer charged as one which waits on its lane.
    InputCharge charge(self->generation_.waiting_memory, memory_owner(self->caller_), {});
    charge.resize(turn.queued.memory);
    auto creating = self->responses_.create(std::move(request), self->caller_, std::move(parent), &charge);
    auto created = co_await std::move(creating);
    if (created) {
        self->begun(turn.lane, *created);
        shared_turn->reset();
    } else {
        charge.resize(0);  // the memory of the request was freed
        auto waiting = wait_for_slot(self, created.error().code);
        co_await std::move(waiting);
        self->send_error(created.error(), turn.lane, turn.queued.event_id);
        self->lanes_.refused(turn.lane, turn.queued.parent);
        shared_turn->reset();
        self->begin_turns();
    }
}

// Waits until the caller may get its next refusal. The lane is busy meanwhile, so that a client which asks
// again and again is slowed down.
asio::awaitable<void> WsConversation::wait_for_slot(std::shared_ptr<WsConversation> self, errc code) {
    const auto delay = self->generation_.refusal_delay(self->caller_, code);
    if (delay <= delay.zero()) co_return;
    struct Pause {
        explicit Pause(WsConversation& conversation) : owner(conversation) { ++owner.num_paused_; }
        Pause(const Pause&) = delete;
        Pause& operator=(const Pause&) = delete;
        ~Pause() { --owner.num_paused_; }
        WsConversation& owner;
    };
    const Pause pause(*self);
    self->wakeup_.notify();  // the writer then updates the phase of the stream
    Wakeup slot(self->responses_.io().get_executor());
    co_await slot.sleep_until(Wakeup::Clock::now() + delay);
}

void WsConversation::begun(const std::string& lane, const ResponsePtr& record) {
    ++num_responses_;
    const bool wanted = lanes_.begun(lane, record);
    try {
        streams_.add(lane, record, -1, Wakeup::Clock::now());
    } catch (const std::bad_alloc&) {
        cancel_response(*record);  // because the response has no follower
        throw;
    }
    if (!wanted) cancel_response(*record);
    if (ended_) streams_.clear();
}

// Must be called if the creation of a response has thrown an exception. Only this request fails, not the
// socket.
void WsConversation::fail(const std::exception_ptr& problem, const WsLanes::Turn& turn) {
    static RepeatedTrouble trouble;
    try {
        std::rethrow_exception(problem);
    } catch (const std::exception& e) {
        trouble.log(LogLevel::error, "a request on a socket failed: ", e.what());
    }
    lanes_.refused(turn.lane, std::nullopt);
    send_error({errc::server_error, {}}, turn.lane, turn.queued.event_id);
    begin_turns();
}

// --- frames for the client ---

bool WsConversation::next_frame(Time now, std::string& frame) {
    frame.clear();
    if (std::exchange(turns_are_due_, false)) begin_turns();
    if (!outbox_.empty()) {
        frame = std::move(outbox_.front());
        outbox_.pop_front();
        return true;
    }
    for (;;) {
        std::optional<LaneStreams::Ended> ended;
        if (!streams_.next(now, frame, ended)) return false;
        if (ended) finish(*ended);
        if (!frame.empty()) return true;
    }
}

// Runs before the terminal event is sent, because the client may send its next request as soon as it has the
// event.
void WsConversation::finish(const LaneStreams::Ended& ended) {
    if (ended.is_lost) {
        lanes_.detach(ended.lane);
        send_error({errc::server_error, {}}, ended.lane, {});
    } else {
        const auto& failure = ended.record->log->failure();
        if (failure && failure->code != errc::request_cancelled) state_.metrics.error(failure->code);
        ended.record->running.reset();  // also frees the response's part of the key's quota
        lanes_.ended(ended.lane);
    }
    begin_turns();
    announce_age_limit();
}

void WsConversation::enqueue(std::string frame) {
    outbox_.push_back(std::move(frame));
    wakeup_.notify();
}

void WsConversation::send_error(const Error& error, std::string_view lane, std::string_view event_id) {
    state_.metrics.error(error.code);
    enqueue(error_event(error, lane, event_id));
}

}  // namespace solard::server
