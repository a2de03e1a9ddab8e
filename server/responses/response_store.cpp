#include "server/responses/response_store.hpp"

namespace solard::server {
namespace {

// An estimate of the memory in the log for one generated token: text, token id and entry, without logprobs.
constexpr std::size_t bytes_per_token = 64;

// Two requests with the same idempotency key within this time are the same request.
constexpr std::chrono::minutes repeat_time{5};

// The number of ids which are remembered after their responses were forgotten.
constexpr std::size_t max_expired = 4096;

// Returns the number of bytes which the record can reach. Its output may still grow, but the number is
// computed only once, at insertion.
std::size_t max_record_bytes(const ResponseRecord& record) {
    std::size_t bytes = sizeof(ResponseRecord) + record.facts.request.idempotency_key.size();
    for (const ChatMessage& message : record.conversation) bytes += sizeof message + message.content.size();
    const ResponseRequest& request = record.facts.request;
    bytes += request.instructions.value_or("").size() + request.user.value_or("").size();
    for (const auto& pair : request.metadata)
        bytes += 64 + pair.key().size() + pair.value().as_string().size();
    for (const auto& stop : request.generation.sampling.stop) bytes += 32 + stop.size();
    const auto& generation = request.generation;
    // Includes the token's own logprob. If the log keeps no logprobs, num_logprobs is -1.
    const std::size_t alternatives = static_cast<std::size_t>(generation.sampling.num_logprobs) + 1;
    const auto tokens = static_cast<std::size_t>(record.max_tokens);
    return bytes + tokens * (bytes_per_token + alternatives * sizeof(TokenLogprob));
}

double milliseconds(Clock::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

ResponseTimings timings_of(const RequestTimes& times, Clock::time_point ended, std::uint32_t num_tokens) {
    constexpr Clock::time_point never{};
    ResponseTimings timings;
    timings.queue = milliseconds((times.started == never ? ended : times.started) - times.accepted);
    timings.total = milliseconds(ended - times.accepted);
    if (times.first_token == never) return timings;
    timings.prefill = milliseconds(times.first_token - times.started);
    timings.first_token = milliseconds(times.first_token - times.accepted);
    if (times.last_token > times.first_token)
        timings.tokens_per_second =
            (num_tokens - 1) * 1000 / milliseconds(times.last_token - times.first_token);
    return timings;
}

}  // namespace

ResponseState ResponseRecord::state() const {
    const LogDelta output = log->read_whole(0);
    ResponseState state;
    state.was_queued = log->was_queued();
    state.started = log->started();
    state.has_output = facts.request.generate && output.num_tokens > 0;
    state.text = output.text;
    state.logprobs = output.logprobs;
    state.stop = output.stop;
    state.usage = {prompt_tokens, state.has_output ? log->num_tokens() : 0, log->cached_tokens()};
    state.completed_at = log->ended_at();
    if (log->terminal()) state.timings = timings_of(log->times(), log->ended(), log->num_tokens());
    if (const auto& failure = log->failure()) {
        state.failure = &*failure;
        state.status =
            failure->code == errc::request_cancelled ? ResponseStatus::cancelled : ResponseStatus::failed;
    } else if (log->terminal()) {
        const bool cut = facts.request.generate && output.finish == FinishReason::length;
        state.status = cut ? ResponseStatus::incomplete : ResponseStatus::completed;
    } else {
        state.status =
            state.started || !state.was_queued ? ResponseStatus::in_progress : ResponseStatus::queued;
    }
    return state;
}

void ResponseStore::insert(ResponsePtr record, Clock::time_point now) {
    const std::size_t bytes = max_record_bytes(*record);
    bytes_ += bytes;
    const std::string id = record->facts.id;
    const auto& key = record->facts.request.idempotency_key;
    if (!key.empty()) by_key_[{record->owner, key}] = id;
    entries_.push_back({std::move(record), bytes, now});
    by_id_.emplace(id, std::prev(entries_.end()));
    forget_old(now);
}

ResponsePtr ResponseStore::find(const std::string& id, std::uint64_t owner, Clock::time_point now) {
    forget_old(now);
    const auto found = by_id_.find(id);
    if (found == by_id_.end() || found->second->record->owner != owner) return nullptr;
    return found->second->record;
}

ResponsePtr ResponseStore::find_repeated(const std::string& key, std::uint64_t owner, Clock::time_point now) {
    const auto found = by_key_.find({owner, key});
    if (found == by_key_.end()) return nullptr;
    const auto entry = by_id_.find(found->second);
    if (entry == by_id_.end() || now - entry->second->inserted > repeat_time) return nullptr;
    return find(found->second, owner, now);
}

bool ResponseStore::erase(const std::string& id, std::uint64_t owner, Clock::time_point now) {
    if (!find(id, owner, now)) return false;
    forget(by_id_.at(id));
    return true;
}

void ResponseStore::forget_old(Clock::time_point now) {
    for (auto it = entries_.begin(); it != entries_.end();) {
        if (bytes_ <= max_bytes_ && now - it->inserted <= max_age_) return;
        const auto entry = it++;
        if (entry->record->running) continue;  // a running response is kept
        remember_expired(*entry->record);
        forget(entry);
    }
}

bool ResponseStore::has_expired(const std::string& id, std::uint64_t owner) const {
    const auto found = expired_.find(id);
    return found != expired_.end() && found->second == owner;
}

void ResponseStore::remember_expired(const ResponseRecord& record) {
    expired_.emplace(record.facts.id, record.owner);
    expired_order_.push_back(record.facts.id);
    if (expired_order_.size() <= max_expired) return;
    expired_.erase(expired_order_.front());
    expired_order_.pop_front();
}

void ResponseStore::forget(std::list<Entry>::iterator entry) {
    bytes_ -= entry->bytes;
    const ResponseFacts& facts = entry->record->facts;
    const auto key = by_key_.find({entry->record->owner, facts.request.idempotency_key});
    if (key != by_key_.end() && key->second == facts.id) by_key_.erase(key);
    by_id_.erase(facts.id);
    entries_.erase(entry);
}

}  // namespace solard::server
