// The responses whose events are sent on the lanes of one socket. Decides which lane is next and makes its
// frame.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/responses/response_cursor.hpp"
#include "server/responses/response_service.hpp"

namespace solard::server {

// A socket's writer asks for one frame at a time. The class stores a cursor for each lane, but no frames. The
// lane to which the fewest bytes were sent is next. I/O thread only.
class LaneStreams {
  public:
    using Time = std::chrono::steady_clock::time_point;

    // `wakeup` is notified when next() may have a frame. `wakeup` and `responses` must outlive this object.
    // `extensions`: the client knows solar:progress.
    LaneStreams(ResponseService& responses, Wakeup& wakeup, bool extensions)
        : responses_(responses), wakeup_(wakeup), extensions_(extensions) {}

    // Begins to send events of the response on `lane`: those with larger numbers than `starting_after`. The
    // lane must have no other response.
    void add(std::string lane, const ResponsePtr& record, std::int64_t starting_after, Time now);
    // Returns the response with this id; null if it is on no lane.
    ResponsePtr find(const std::string& id) const;
    // Stops sending the events of the response with this id. Returns the response's lane; nothing if the
    // response is on no lane.
    std::optional<std::string> remove(const std::string& id);
    void clear() { streams_.clear(); }

    struct Ended {
        std::string lane;
        ResponsePtr record;
        // True if memory for an event was missing. Then the client gets no further event of the response.
        bool is_lost = false;
    };
    // Appends the next frame to `frame` and returns true, or returns false if no frame is ready. If a
    // response leaves its lane, sets `ended` and returns true. In this case, the appended frame is the
    // response's terminal event. If the client already has this event or the response is lost, nothing is
    // appended.
    bool next(Time now, std::string& frame, std::optional<Ended>& ended);
    // Returns the time at which next() may have a frame although nothing new has happened.
    Time due() const;

  private:
    struct LaneStream;
    LaneStream* choose(Time now) const;
    bool append_progress_or_keep_alive(Time now, std::string& frame);
    bool wants_progress(const ResponseRecord& record) const;
    bool append_progress(LaneStream& stream, Time now, std::string& frame) const;

    ResponseService& responses_;
    Wakeup& wakeup_;
    bool extensions_;
    std::vector<std::shared_ptr<LaneStream>> streams_;
};

}  // namespace solard::server
