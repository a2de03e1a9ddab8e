#include "server/ws/lane_streams.hpp"

#include <algorithm>
#include <new>

#include "server/api/ws_events.hpp"

namespace solard::server {
namespace {

using Time = LaneStreams::Time;

// The size in bytes. The Python library websockets accepts messages of up to 1 MiB by default.
constexpr std::size_t max_server_message = 1'000'000;
constexpr std::chrono::milliseconds progress_spacing{250};

ProgressFacts progress_of(const EngineClient& engine, const ResponseRecord& record, Time now) {
    const GenerationLog& log = *record.log;
    const RequestTimes& times = log.times();
    ProgressFacts facts;
    facts.prompt_tokens = static_cast<std::int64_t>(record.prompt_tokens);
    facts.queue_length = engine.snapshot().num_waiting;
    facts.output_tokens = log.num_tokens();
    facts.elapsed_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - times.accepted).count();
    if (!log.started()) {
        facts.phase = "queued";
        facts.queue_position = log.progress().requests_ahead + 1;
    } else if (facts.output_tokens == 0) {
        facts.phase = "prefill";
        facts.prompt_tokens_done = log.progress().prompt_tokens_done;
    } else {
        facts.phase = "decode";
        facts.prompt_tokens_done = facts.prompt_tokens;
        facts.tokens_per_second = tokens_per_second(times, log.num_tokens()).value_or(0);
    }
    return facts;
}

}  // namespace

struct LaneStreams::LaneStream {
    LaneStream(ResponseService& responses, std::string lane_name, const ResponsePtr& record, Wakeup& wakeup,
               std::int64_t starting_after, Time now)
        : lane(std::move(lane_name)),
          follower(responses, record),
          cursor(record, responses.generation().tokenizer, wakeup,
                 {.server_sent = false, .stream_id = lane, .max_bytes = max_server_message}, starting_after),
          last_frame(now),
          last_progress(now - progress_spacing) {}

    std::string lane;
    ResponseFollower follower;
    ResponseCursor cursor;
    std::uint64_t bytes_sent = 0;  // starts at the smallest value of the lanes which already exist
    Time last_frame;
    Time last_progress;
    ProgressFacts progress;  // the facts in the last solar:progress event
};

void LaneStreams::add(std::string lane, const ResponsePtr& record, std::int64_t starting_after, Time now) {
    auto stream =
        std::make_shared<LaneStream>(responses_, std::move(lane), record, wakeup_, starting_after, now);
    const auto least =
        std::ranges::min_element(streams_, {}, [](const auto& other) { return other->bytes_sent; });
    if (least != streams_.end()) stream->bytes_sent = (*least)->bytes_sent;
    streams_.push_back(std::move(stream));
    wakeup_.notify();
}

ResponsePtr LaneStreams::find(const std::string& id) const {
    for (const auto& stream : streams_) {
        if (stream->cursor.record()->facts.id == id) return stream->cursor.record();
    }
    return nullptr;
}

std::optional<std::string> LaneStreams::remove(const std::string& id) {
    const auto it =
        std::ranges::find_if(streams_, [&](const auto& one) { return one->cursor.record()->facts.id == id; });
    if (it == streams_.end()) return std::nullopt;
    std::string lane = (*it)->lane;
    streams_.erase(it);
    return lane;
}

bool LaneStreams::next(Time now, std::string& frame, std::optional<Ended>& ended) {
    // A lane can be ready and still yield no frame: the stop matcher may hold back the text of its only new
    // entry.
    while (LaneStream* stream = choose(now)) {
        bool more = false;
        bool is_lost = false;
        try {
            more = stream->cursor.next(now, frame);
        } catch (const std::bad_alloc&) {
            frame.clear();  // the event is incomplete
            is_lost = true;
        }
        stream->bytes_sent += frame.size();
        stream->last_frame = more ? now : stream->last_frame;
        if (is_lost || stream->cursor.at_end()) {
            ended = Ended{std::move(stream->lane), stream->cursor.record(), is_lost};
            std::erase_if(streams_, [&](const auto& one) { return one.get() == stream; });
            return true;
        }
        if (more) return true;
    }
    return append_progress_or_keep_alive(now, frame);
}

// Returns the ready stream for which the fewest bytes were sent; null if no stream is ready.
LaneStreams::LaneStream* LaneStreams::choose(Time now) const {
    LaneStream* chosen = nullptr;
    for (const auto& stream : streams_) {
        if (!stream->cursor.ready(now)) continue;
        if (chosen == nullptr || stream->bytes_sent < chosen->bytes_sent) chosen = stream.get();
    }
    return chosen;
}

// If memory for one of these events is missing, the event is left out.
bool LaneStreams::append_progress_or_keep_alive(Time now, std::string& frame) {
    try {
        for (const auto& stream : streams_) {
            if (append_progress(*stream, now, frame)) return true;
            if (now < stream->last_frame + responses_.generation().config.keep_alive_interval) continue;
            stream->last_frame = now;
            stream->cursor.events().keep_alive(frame);
            return true;
        }
    } catch (const std::bad_alloc&) {
        frame.clear();
    }
    return false;
}

// Returns true only after the engine has received the request. Before that, the request's place in the queue
// is not known.
bool LaneStreams::wants_progress(const ResponseRecord& record) const {
    return extensions_ && record.facts.request.progress &&
           (record.log->was_queued() || record.log->started());
}

// Appends an event only if something other than the elapsed time has changed.
bool LaneStreams::append_progress(LaneStream& stream, Time now, std::string& frame) const {
    const ResponseRecord& record = *stream.cursor.record();
    if (!wants_progress(record) || now < stream.last_progress + progress_spacing) return false;
    stream.last_progress = now;
    ProgressFacts facts = progress_of(responses_.generation().engine, record, now);
    const auto elapsed = std::exchange(facts.elapsed_ms, stream.progress.elapsed_ms);
    const bool is_new = facts != stream.progress;
    facts.elapsed_ms = elapsed;
    if (!is_new) return false;
    stream.progress = facts;
    stream.last_frame = now;
    stream.cursor.events().progress(progress_fields(facts), frame);
    return true;
}

Time LaneStreams::due() const {
    Time due = Time::max();
    for (const auto& stream : streams_) {
        due = std::min({due, stream->cursor.due(),
                        stream->last_frame + responses_.generation().config.keep_alive_interval});
        if (wants_progress(*stream->cursor.record()))
            due = std::min(due, stream->last_progress + progress_spacing);
    }
    return due;
}

}  // namespace solard::server
