// The responses that go out on the lanes of one socket: which of them is next, and as what frame.
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

// Pulled by a socket's writer; holds a cursor for each lane and no frames. Lanes take turns by bytes. I/O
// thread only.
class LaneStreams {
  public:
    using Time = std::chrono::steady_clock::time_point;

    // `wakeup` is notified when next() may have something; it and `responses` outlive this. `extensions`: the
    // client knows solar:progress.
    LaneStreams(ResponseService& responses, Wakeup& wakeup, bool extensions)
        : responses_(responses), wakeup_(wakeup), extensions_(extensions) {}

    // The events after `starting_after` go out on `lane`, which has no other response.
    void add(std::string lane, const ResponsePtr& record, std::int64_t starting_after, Time now);
    // Of the response with this id; null if it is on no lane.
    ResponsePtr find(const std::string& id) const;
    // Its events stop; gives its lane, nothing if it is on none.
    std::optional<std::string> remove(const std::string& id);
    void clear() { streams_.clear(); }

    struct Ended {
        std::string lane;
        ResponsePtr record;
    };
    // Appends the next frame; false if there is none now. `ended` is set when a response is done with: its
    // terminal event is this frame, or was had before.
    bool next(Time now, std::string& frame, std::optional<Ended>& ended);
    // When next() has something though nothing is new.
    Time due() const;

  private:
    struct LaneStream;
    LaneStream* choose(Time now) const;
    bool append_sign_of_life(Time now, std::string& frame);
    bool tells_progress(const ResponseRecord& record) const;
    bool append_progress(LaneStream& stream, Time now, std::string& frame) const;

    ResponseService& responses_;
    Wakeup& wakeup_;
    bool extensions_;
    std::vector<std::shared_ptr<LaneStream>> streams_;
};

}  // namespace solard::server
