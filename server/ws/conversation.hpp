// The conversation on one socket of /v1/responses: messages of the client become requests on lanes, and the
// events of the lanes become frames. This file does not use the socket itself.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/api/ws_requests.hpp"
#include "server/auth/access.hpp"
#include "server/config/error.hpp"
#include "server/http/input_charge.hpp"
#include "server/observe/server_state.hpp"
#include "server/responses/response_service.hpp"
#include "server/ws/lane_streams.hpp"
#include "server/ws/lanes.hpp"

namespace solard::server {

// The coroutines which create responses share the conversation, because these coroutines may outlive the
// socket. I/O thread only.
class WsConversation : public std::enable_shared_from_this<WsConversation> {
  public:
    using Time = LaneStreams::Time;

    // `responses` and `state` must outlive the conversation. `extensions`: the client knows the events whose
    // type begins with "solar:".
    WsConversation(ResponseService& responses, ServerState& state, const Caller& caller, bool extensions);
    ~WsConversation();
    WsConversation(const WsConversation&) = delete;
    WsConversation& operator=(const WsConversation&) = delete;

    // `invalid`: an error was sent. `flood`: the client has queued more than the server will answer, and the
    // caller must close the socket.
    enum class MessageResult : std::uint8_t { ok, invalid, flood };
    // Handles one message of the client. `charge` is the memory charge of the text, and becomes 0 as soon as
    // the text has been parsed. If memory is missing, only this message fails: its error is sent at once.
    boost::asio::awaitable<MessageResult> on_message(std::string text, InputCharge& charge);
    // Sends the error for a message which on_message() did not get, because memory was missing.
    void on_lost_message();
    // Refuses new requests from now on, because the socket is too old. Also sends one error that says so, but
    // only when the client cannot mistake this error for the answer to a request.
    void retire();
    // Must be called when either side closes the socket. After that, no response begins, and no event of a
    // response is sent. A response without any other follower ends, unless it is resumable.
    void end();

    // Replaces the content of `frame` by the next frame. Returns false if no frame is ready.
    bool next_frame(Time now, std::string& frame);
    // Returns the time at which next_frame() may have a frame although wakeup() was not notified.
    Time due() const { return streams_.due(); }
    Wakeup& wakeup() { return wakeup_; }

    // Returns true if no response is in flight, no request waits and no frame waits.
    bool idle() const { return lanes_.idle() && outbox_.empty(); }
    // Returns true if only refusals, and the requests which wait behind them, would be lost if the socket was
    // closed now.
    bool is_interruptible() const { return lanes_.num_busy() == num_paused_ && outbox_.empty(); }
    bool is_busy() const { return !lanes_.idle(); }
    // Returns true if so many frames wait for the client that its next message should not be read yet.
    bool is_full() const;
    std::size_t num_responses() const { return num_responses_; }

  private:
    std::string greeting() const;
    MessageResult handle(ClientMessage& message, std::size_t size);
    MessageResult add_request(const ClientMessage& message, CreateMessage create, std::size_t size);
    result<void> act(const ClientMessage& message, const CancelMessage& cancel);
    result<void> act(const ClientMessage& message, const AttachMessage& attach);
    result<void> act(const ClientMessage& message, const DetachMessage& detach);
    result<void> act(const ClientMessage& message, const PingMessage& ping);
    result<void> act(const ClientMessage& message, const SteerMessage& steer);
    static result<void> act(const ClientMessage&, const Error& error) { return error; }
    static result<void> act(const ClientMessage&, const CreateMessage&) { return {}; }  // is never called

    result<ResponsePtr> find_running(const std::string& id) const;
    ResponsePtr find_parent(const ResponseRequest& request) const;
    void charge_waiting();
    // A request that has begun. The optional becomes empty when the response of the request exists or its
    // error was sent.
    using TurnPtr = std::shared_ptr<std::optional<WsLanes::Turn>>;
    void begin_turns();
    void begin_turn(WsLanes::Turn turn);
    static boost::asio::awaitable<void> begin(std::shared_ptr<WsConversation> self, TurnPtr shared_turn);
    static boost::asio::awaitable<void> wait_for_slot(std::shared_ptr<WsConversation> self, errc code);
    void begun(const std::string& lane, const ResponsePtr& record);
    void fail(const std::exception_ptr& problem, const WsLanes::Turn& turn);
    void announce_age_limit();
    void finish(const LaneStreams::Ended& ended);
    void enqueue(std::string frame);
    void send_error(const Error& error, std::string_view lane, std::string_view event_id);

    ResponseService& responses_;
    GenerationService& generation_;
    ServerState& state_;
    const Caller caller_;
    const bool extensions_;
    Wakeup wakeup_;
    WsLanes lanes_;
    WaitingAccount waiting_charge_;  // of the requests which wait on the lanes
    bool turns_are_due_ = false;
    LaneStreams streams_;
    std::deque<std::string> outbox_;  // frames which are not events of a response
    bool retired_ = false;
    bool age_limit_announced_ = false;
    bool ended_ = false;
    std::size_t num_responses_ = 0;
    std::size_t num_paused_ = 0;  // number of lanes which wait until their refusal may be sent
};

}  // namespace solard::server
