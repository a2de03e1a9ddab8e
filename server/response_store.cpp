#include "server/response_store.hpp"

namespace solard {
namespace {

// What a token of the answer may cost in its log: text, entry, logprobs of its own.
constexpr std::size_t bytes_per_token = 64;

// Counted once, at its most: the answer may still grow.
std::size_t most_bytes(const ResponseRecord& record) {
    std::size_t bytes = sizeof(ResponseRecord);
    for (const ChatMessage& message : record.conversation) bytes += sizeof message + message.content.size();
    const auto& generation = record.facts.request.generation;
    const std::size_t alternatives =
        static_cast<std::size_t>(generation.sampling.num_logprobs) + 1;  // -1: none
    const auto tokens = static_cast<std::size_t>(record.max_tokens);
    return bytes + tokens * (bytes_per_token + alternatives * sizeof(TokenLogprob));
}

}  // namespace

ResponseState ResponseRecord::state() const {
    const LogDelta output = log->read_whole(0);
    ResponseState state;
    state.was_queued = log->was_queued();
    state.started = log->started();
    state.has_output = output.num_tokens > 0;
    state.text = output.text;
    state.logprobs = output.logprobs;
    state.stop = output.stop;
    state.usage = {prompt_tokens, log->num_tokens(), log->cached_tokens()};
    state.completed_at = log->ended_at();
    if (const auto& failure = log->failure()) {
        state.failure = &*failure;
        state.status =
            failure->code == errc::request_cancelled ? ResponseStatus::cancelled : ResponseStatus::failed;
    } else if (log->terminal()) {
        state.status =
            output.finish == FinishReason::length ? ResponseStatus::incomplete : ResponseStatus::completed;
    } else {
        state.status =
            state.started || !state.was_queued ? ResponseStatus::in_progress : ResponseStatus::queued;
    }
    return state;
}

void ResponseStore::insert(std::shared_ptr<ResponseRecord> record, Clock::time_point now) {
    const std::size_t bytes = most_bytes(*record);
    bytes_ += bytes;
    const std::string id = record->facts.id;
    entries_.push_back({std::move(record), bytes, now});
    by_id_.emplace(id, std::prev(entries_.end()));
    forget_old(now);
}

std::shared_ptr<ResponseRecord> ResponseStore::find(const std::string& id, std::uint64_t owner,
                                                    Clock::time_point now) {
    forget_old(now);
    const auto found = by_id_.find(id);
    if (found == by_id_.end() || found->second->record->owner != owner) return nullptr;
    return found->second->record;
}

bool ResponseStore::erase(const std::string& id, std::uint64_t owner, Clock::time_point now) {
    if (!find(id, owner, now)) return false;
    forget(by_id_.at(id));
    return true;
}

void ResponseStore::forget_old(Clock::time_point now) {
    while (!entries_.empty() && (bytes_ > max_bytes_ || now - entries_.front().inserted > max_age_))
        forget(entries_.begin());
}

void ResponseStore::forget(std::list<Entry>::iterator entry) {
    bytes_ -= entry->bytes;
    by_id_.erase(entry->record->facts.id);
    entries_.erase(entry);
}

}  // namespace solard
