// The lanes of one socket (server/ws/PROTOCOL.md, "Lanes"): whose turn it is, what waits, what may
// be continued. A state machine without sockets, clocks or engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/api/responses.hpp"
#include "server/config/error.hpp"
#include "server/responses/response_store.hpp"

namespace solard::server {

struct WsLaneLimits {
    std::size_t max_in_flight = 16;
    std::size_t max_lanes = 32;  // with a name, in the life of the socket
    std::size_t max_waiting = 64;
    std::size_t max_waiting_bytes = 4 << 20;
};

// A request for a response on its way through its lane. With an Error it is told that error at its turn: an
// SDK takes an error for the answer to the request that its lane is about.
struct LaneRequest {
    std::string event_id;
    std::size_t bytes = 0;  // of its message
    result<ResponseRequest> request;
    std::optional<std::string> parent = {};  // its previous_response_id, also where it is in error
};

// One request after the other in a lane, many lanes at once. A lane is named by its stream_id; the default
// lane's name is empty. A busy lane has a turn that was taken by next() or attach() and not given back by
// refused(), ended() or detach().
class WsLanes {
  public:
    explicit WsLanes(WsLaneLimits limits) : limits_(limits) {}

    // Puts a request at the end of its lane's line; one that is too much stands there as a refusal. Errors:
    // websocket_stream_limit_reached; websocket_queue_full when it was turned into a refusal.
    result<void> add(const std::string& lane, LaneRequest request);

    struct Turn {
        std::string lane;
        LaneRequest queued;
    };
    // The request that has waited longest of those that may begin; its lane is busy from now on.
    std::optional<Turn> next();

    // How a turn goes on. `parent`, the previous_response_id of the request, is forgotten if this is its
    // lane.
    void refused(const std::string& lane, const std::optional<std::string>& parent);
    // False where the request was cancelled meanwhile: the response is to be cancelled at once.
    bool begun(const std::string& lane, ResponsePtr response);
    // Its terminal event is on its way; what it left can be continued.
    void ended(const std::string& lane);

    // The lane takes part in a response that exists already. Errors: lane_busy,
    // websocket_stream_limit_reached.
    result<void> attach(const std::string& lane, ResponsePtr response);
    // The lane is free, and its response goes its own way.
    void detach(const std::string& lane);

    // Of the lane's active request, or of the first that waits. The response that is to be cancelled; null
    // where its creation is under way or it only waited. Errors: response_not_found,
    // response_already_completed.
    result<ResponsePtr> cancel(const std::string& lane);
    // All that wait on the lane are told that they were cancelled, at their turn.
    void cancel_waiting(const std::string& lane);

    // Of the newest finished responses of the lanes the one with this id, if it is not stored: those are
    // remembered here alone. Null if there is none.
    ResponsePtr find_unstored(std::string_view id) const;
    bool idle() const { return num_busy_ == 0 && num_waiting_ == 0; }
    // The lane has nothing under way and nothing in line.
    bool is_free(const std::string& lane) const;
    std::size_t num_waiting() const { return num_waiting_; }  // those that are to be refused included

  private:
    struct Waiting {
        std::uint64_t arrival;
        LaneRequest request;
    };
    struct Lane {
        bool busy = false;
        bool cancelled = false;   // while it is created
        bool has_ended = false;   // one of its responses
        ResponsePtr active = {};  // null while it is created
        ResponsePtr newest = {};  // that ended, if it is not stored
        std::deque<Waiting> waiting = {};
    };
    result<Lane*> open(const std::string& name);
    void release(Lane& lane);
    void refuse(LaneRequest& request, Error error);

    WsLaneLimits limits_;
    std::map<std::string, Lane> lanes_;
    std::size_t num_busy_ = 0;
    std::size_t num_waiting_ = 0;  // refusals included
    std::size_t num_requests_waiting_ = 0;
    std::size_t waiting_bytes_ = 0;
    std::uint64_t next_arrival_ = 0;
};

}  // namespace solard::server
