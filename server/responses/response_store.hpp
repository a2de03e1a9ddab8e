// Holds the responses of /v1/responses which clients can still ask for: running ones, and finished ones for a
// while. They are kept in memory only.
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
    std::uint64_t owner = 0;  // 1 + the index of the key which may see it; 0: all callers without a key
    ResponseFacts facts;
    std::vector<ChatMessage> conversation;  // the messages of its prompt, without the instructions
    std::size_t prompt_tokens = 0;
    std::int32_t max_tokens = 0;
    std::shared_ptr<GenerationLog> log;
    std::optional<Generation> running;                // empty after the end; reset() cancels the generation
    std::size_t num_followers = 0;                    // existing ResponseFollower objects
    std::chrono::steady_clock::time_point left_at{};  // when the last follower left

    ResponseState state() const;
};
using ResponsePtr = std::shared_ptr<ResponseRecord>;

// Limits the bytes and the age of its responses. It forgets the oldest response first, but never a response
// which still runs. I/O thread only.
class ResponseStore {
  public:
    using Clock = std::chrono::steady_clock;

    ResponseStore(std::size_t max_bytes, Clock::duration max_age)
        : max_bytes_(max_bytes), max_age_(max_age) {}

    void insert(ResponsePtr record, Clock::time_point now);
    // Returns the response with this id, or null if this owner has none.
    ResponsePtr find(const std::string& id, std::uint64_t owner, Clock::time_point now);
    // Returns the response which this owner created with the solar.idempotency_key `key` within the last 5
    // minutes, or null if there is none.
    ResponsePtr find_repeated(const std::string& key, std::uint64_t owner, Clock::time_point now);
    // Forgets the response with this id. Returns false if this owner has none.
    bool erase(const std::string& id, std::uint64_t owner, Clock::time_point now);
    // Returns true if this owner had a response with this id and the store has forgotten it recently because
    // of its limits. A response which erase() removed has not expired.
    bool has_expired(const std::string& id, std::uint64_t owner) const;
    std::size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        ResponsePtr record;
        std::size_t bytes;
        Clock::time_point inserted;
    };
    void forget_old(Clock::time_point now);
    void remember_expired(const ResponseRecord& record);
    void forget(std::list<Entry>::iterator entry);

    std::size_t max_bytes_;
    Clock::duration max_age_;
    std::size_t bytes_ = 0;
    std::list<Entry> entries_;  // oldest first
    std::unordered_map<std::string, std::list<Entry>::iterator> by_id_;
    std::map<std::pair<std::uint64_t, std::string>, std::string> by_key_;  // owner and key -> id
    std::unordered_map<std::string, std::uint64_t> expired_;               // id -> owner
    std::deque<std::string> expired_order_;  // ids in `expired_`, the oldest first
};

}  // namespace solard::server
