// Responses of /v1/responses that can still be asked for: running ones, and finished ones for a while. Memory
// only.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "inference/model/chat_template.hpp"
#include "server/api/response_object.hpp"
#include "server/generation/engine_client.hpp"

namespace solard::server {

// One response from its creation until it is forgotten. I/O thread only.
struct ResponseRecord {
    std::uint64_t owner = 0;  // who may see it: a key, or everybody without one
    ResponseFacts facts;
    std::vector<ChatMessage> conversation;  // all messages of its prompt
    std::size_t prompt_tokens = 0;
    std::int32_t max_tokens = 0;
    std::shared_ptr<GenerationLog> log;
    std::optional<Generation> running;                // until it ended; without it nothing is generated
    std::size_t num_readers = 0;                      // who follow it as it grows
    std::chrono::steady_clock::time_point left_at{};  // when the last of them went

    ResponseState state() const;
};
using ResponsePtr = std::shared_ptr<ResponseRecord>;

// Bounded by bytes and by age; the oldest go first, but none that still runs. I/O thread only.
class ResponseStore {
  public:
    using Clock = std::chrono::steady_clock;

    ResponseStore(std::size_t max_bytes, Clock::duration max_age)
        : max_bytes_(max_bytes), max_age_(max_age) {}

    void insert(ResponsePtr record, Clock::time_point now);
    // Null where there is none of that id that this owner may see.
    ResponsePtr find(const std::string& id, std::uint64_t owner, Clock::time_point now);
    // The one that this owner began with the same solar.idempotency_key within the last 5 minutes; null if
    // there is none.
    ResponsePtr find_repeated(const std::string& key, std::uint64_t owner, Clock::time_point now);
    // False where find() would give null.
    bool erase(const std::string& id, std::uint64_t owner, Clock::time_point now);
    // Of this owner there was one of that id, which was forgotten lately and not erased.
    bool has_expired(const std::string& id, std::uint64_t owner) const;
    std::size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        ResponsePtr record;
        std::size_t bytes;
        Clock::time_point inserted;
    };
    void forget_old(Clock::time_point now);
    void note_expired(const ResponseRecord& record);
    void forget(std::list<Entry>::iterator entry);

    std::size_t max_bytes_;
    Clock::duration max_age_;
    std::size_t bytes_ = 0;
    std::list<Entry> entries_;  // oldest first
    std::unordered_map<std::string, std::list<Entry>::iterator> by_id_;
    std::map<std::pair<std::uint64_t, std::string>, std::string> by_key_;  // owner and key -> id
    std::unordered_map<std::string, std::uint64_t> expired_;               // id -> owner
    std::deque<std::string> expired_order_;                                // the first goes first
};

}  // namespace solard::server
