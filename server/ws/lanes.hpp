// The lanes of one socket (server/ws/PROTOCOL.md, "Lanes"): which request is next, which requests wait, and
// which responses can be continued. A state machine without sockets, clocks or engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "server/api/responses.hpp"
#include "server/config/error.hpp"
#include "server/responses/response_store.hpp"

namespace solard::server {

struct WsLaneLimits {
    std::size_t max_in_flight = 16;
    std::size_t max_lanes = 32;  // number of named lanes that a socket may use in its life
    std::size_t max_waiting = 64;
    std::size_t max_waiting_bytes = 4 << 20;
};

// A request for a response, which waits on its lane. If `request` is an Error, the error is sent only when
// the request would begin, because an SDK takes an error for the answer to the oldest request of the lane.
struct LaneRequest {
    std::string event_id;
    std::size_t bytes = 0;  // size of the client's message
    result<ResponseRequest> request;
    std::optional<std::string> parent = {};  // its previous_response_id, even if the request is an Error
    std::size_t memory = 0;                  // bytes of memory which the request holds
};

// A lane handles its requests one after another. Different lanes handle requests at the same time. The name
// of a lane is its stream_id; the name of the default lane is empty. A lane is busy from next() or attach()
// until refused(), ended() or detach().
class WsLanes {
  public:
    explicit WsLanes(WsLaneLimits limits) : limits_(limits) {}

    // Appends a request to its lane's queue. If too many requests wait already, the new request is replaced
    // by an Error in the queue, which is sent when the request would begin. Errors:
    // websocket_stream_limit_reached (the request is not queued); websocket_queue_full (the request is queued
    // as an Error).
    result<void> add(const std::string& lane, LaneRequest request);

    struct Turn {
        std::string lane;
        LaneRequest queued;
    };
    // Of the requests which may begin, returns the oldest request. The lane of this request is busy from now
    // on.
    std::optional<Turn> next();

    // Makes the lane free again after a request that got no response. `parent` is the request's
    // previous_response_id. If the newest unstored response of this lane has this id, the lane forgets this
    // response.
    void refused(const std::string& lane, const std::optional<std::string>& parent);
    // Sets the response that was created for the lane's current request. Returns false if the request was
    // cancelled meanwhile; the caller must then cancel the response.
    bool begun(const std::string& lane, ResponsePtr response);
    // Makes the lane free again. Must be called just before the terminal event of the lane's response is
    // sent. From then on, another request can continue this response.
    void ended(const std::string& lane);

    // Makes the lane busy with a response which exists already. Errors: lane_busy,
    // websocket_stream_limit_reached.
    result<void> attach(const std::string& lane, ResponsePtr response);
    // Makes the lane free again. Its response continues without a lane.
    void detach(const std::string& lane);

    // Cancels the active request of the lane or, if there is none, the first waiting request. Returns the
    // response which the caller has to cancel; null if the response is still being created, or if the
    // cancelled request was waiting. Errors: response_not_found, response_already_completed.
    result<ResponsePtr> cancel(const std::string& lane);
    // Cancels all requests which wait on the lane: each gets the error request_cancelled when it would begin.
    void cancel_waiting(const std::string& lane);

    // Refuses waiting requests, the newest first, until at least `bytes` of memory are free again. Each
    // refused request gets `error` when it would begin.
    void refuse_newest(std::size_t bytes, const Error& error);

    // Returns the response with this id if it is not stored and is the newest finished response of a lane;
    // null otherwise. Only the lanes remember responses which are not stored.
    ResponsePtr find_unstored(std::string_view id) const;
    std::size_t num_busy() const { return num_busy_; }  // number of lanes
    bool idle() const { return num_busy_ == 0 && num_waiting_ == 0; }
    // Returns true if the lane has neither an active response nor a waiting request.
    bool is_free(const std::string& lane) const;
    // Returns how many bytes of memory the waiting requests hold.
    std::size_t memory() const { return memory_; }
    std::size_t num_waiting() const { return num_waiting_; }  // includes requests which will be refused

  private:
    struct Waiting {
        std::uint64_t arrival;
        LaneRequest request;
    };
    struct Lane {
        bool busy = false;
        bool cancelled = false;   // true: the active request was cancelled before its response was created
        bool has_ended = false;   // true: a response of this lane has ended
        ResponsePtr active = {};  // null while the response is being created
        ResponsePtr newest = {};  // the last response which ended; null if it is stored
        std::deque<Waiting> waiting = {};
    };
    result<Lane*> open(const std::string& name);
    void release(Lane& lane);
    LaneRequest* newest_waiting();
    void count(const LaneRequest& request);
    void discount(const LaneRequest& request);
    void refuse(LaneRequest& request, Error error);

    WsLaneLimits limits_;
    std::map<std::string, Lane> lanes_;
    std::size_t num_busy_ = 0;
    std::size_t num_waiting_ = 0;           // includes requests which will be refused
    std::size_t num_requests_waiting_ = 0;  // without requests which will be refused
    std::size_t waiting_bytes_ = 0;
    std::size_t memory_ = 0;
    std::uint64_t next_arrival_ = 0;
};

}  // namespace solard::server
