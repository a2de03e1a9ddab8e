#include "server/ws/lanes.hpp"

#include <utility>

#include "server/api/error.hpp"

namespace solard::server {
result<WsLanes::Lane*> WsLanes::open(const std::string& name) {
    const auto found = lanes_.find(name);
    if (found != lanes_.end()) return &found->second;
    const std::size_t num_named = lanes_.size() - lanes_.count("");
    if (!name.empty() && num_named >= limits_.max_lanes)
        return Error{errc::websocket_stream_limit_reached,
                     "This socket has already used " + std::to_string(limits_.max_lanes) +
                         " stream ids, which is its limit. Use one of them again, or open another socket.",
                     "stream_id"};
    return &lanes_[name];
}

void WsLanes::count(const LaneRequest& request) {
    ++num_requests_waiting_;
    waiting_bytes_ += request.bytes;
    memory_ += request.memory;
}

void WsLanes::discount(const LaneRequest& request) {
    --num_requests_waiting_;
    waiting_bytes_ -= request.bytes;
    memory_ -= request.memory;
}

void WsLanes::refuse(LaneRequest& request, Error error) {
    if (request.request) discount(request);
    request.request = std::move(error);
}

// Returns the newest waiting request that will not be refused; null if no such request waits.
LaneRequest* WsLanes::newest_waiting() {
    Waiting* newest = nullptr;
    for (auto& [name, lane] : lanes_) {
        for (Waiting& waiting : lane.waiting) {
            if (!waiting.request.request) continue;
            if (newest == nullptr || waiting.arrival > newest->arrival) newest = &waiting;
        }
    }
    return newest == nullptr ? nullptr : &newest->request;
}

void WsLanes::refuse_newest(std::size_t bytes, const Error& error) {
    const std::size_t before = memory_;
    while (before - memory_ < bytes) {
        LaneRequest* const newest = newest_waiting();
        if (newest == nullptr) return;
        refuse(*newest, error);
    }
}

result<void> WsLanes::add(const std::string& lane, LaneRequest request) {
    const auto opened = open(lane);
    if (!opened) return opened.error();
    auto& queue = (*opened)->waiting;
    const bool is_request = request.request.has_value();
    queue.push_back({next_arrival_++, std::move(request)});
    ++num_waiting_;
    if (!is_request) return {};
    count(queue.back().request);
    // A request which can begin immediately does not count as a waiting request.
    const bool begins = !(*opened)->busy && queue.size() == 1 && num_busy_ < limits_.max_in_flight;
    if (begins || (num_requests_waiting_ <= limits_.max_waiting &&
                   (num_requests_waiting_ == 1 || waiting_bytes_ <= limits_.max_waiting_bytes)))
        return {};
    Error full{
        errc::websocket_queue_full,
        "Too many requests are waiting on this socket. Wait until a response ends, and send the request "
        "again."};
    refuse(queue.back().request, full);
    return full;
}

std::optional<WsLanes::Turn> WsLanes::next() {
    std::pair<const std::string, Lane>* first = nullptr;
    for (auto& entry : lanes_) {
        const Lane& lane = entry.second;
        if (lane.busy || lane.waiting.empty()) continue;
        const bool is_request = lane.waiting.front().request.request.has_value();
        if (is_request && num_busy_ >= limits_.max_in_flight) continue;
        if (first == nullptr || lane.waiting.front().arrival < first->second.waiting.front().arrival)
            first = &entry;
    }
    if (first == nullptr) return std::nullopt;
    Lane& lane = first->second;
    Turn turn{first->first, std::move(lane.waiting.front().request)};
    lane.waiting.pop_front();
    --num_waiting_;
    if (turn.queued.request) discount(turn.queued);
    lane.busy = true;
    ++num_busy_;
    return turn;
}

void WsLanes::release(Lane& lane) {
    lane.busy = false;
    lane.cancelled = false;
    lane.active.reset();
    --num_busy_;
}

void WsLanes::refused(const std::string& name, const std::optional<std::string>& parent) {
    Lane& lane = lanes_.at(name);
    release(lane);
    if (parent && lane.newest && lane.newest->facts.id == *parent) lane.newest.reset();
}

bool WsLanes::begun(const std::string& name, ResponsePtr response) {
    Lane& lane = lanes_.at(name);
    lane.active = std::move(response);
    return !lane.cancelled;
}

void WsLanes::ended(const std::string& name) {
    Lane& lane = lanes_.at(name);
    lane.has_ended = true;
    lane.newest = lane.active && !lane.active->facts.request.store ? std::move(lane.active) : nullptr;
    release(lane);
}

result<void> WsLanes::attach(const std::string& name, ResponsePtr response) {
    const auto opened = open(name);
    if (!opened) return opened.error();
    Lane& lane = **opened;
    if (lane.busy || !lane.waiting.empty())
        return Error{
            errc::lane_busy,
            "This stream_id already has a running response or a waiting request. Wait until they have "
            "ended, or use another stream_id.",
            "stream_id"};
    lane.busy = true;
    lane.active = std::move(response);
    ++num_busy_;
    return {};
}

void WsLanes::detach(const std::string& name) {
    release(lanes_.at(name));
}

result<ResponsePtr> WsLanes::cancel(const std::string& name) {
    const auto found = lanes_.find(name);
    if (found == lanes_.end()) return default_error(errc::response_not_found);
    Lane& lane = found->second;
    if (lane.busy) {
        lane.cancelled = lane.active == nullptr;
        return lane.active;
    }
    if (!lane.waiting.empty()) {
        refuse(lane.waiting.front().request, default_error(errc::request_cancelled));
        return ResponsePtr();
    }
    return default_error(lane.has_ended ? errc::response_already_completed : errc::response_not_found);
}

void WsLanes::cancel_waiting(const std::string& name) {
    const auto found = lanes_.find(name);
    if (found == lanes_.end()) return;
    for (auto& waiting : found->second.waiting) {
        if (waiting.request.request) refuse(waiting.request, default_error(errc::request_cancelled));
    }
}

bool WsLanes::is_free(const std::string& name) const {
    const auto found = lanes_.find(name);
    return found == lanes_.end() || (!found->second.busy && found->second.waiting.empty());
}

ResponsePtr WsLanes::find_unstored(std::string_view id) const {
    for (const auto& [name, lane] : lanes_) {
        if (lane.newest && lane.newest->facts.id == id) return lane.newest;
    }
    return nullptr;
}

}  // namespace solard::server
