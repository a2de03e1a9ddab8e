// Holds the responses of /v1/responses which clients can still ask for: running responses, and for some time
// ended responses. The responses are kept in memory only.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "server/observe/waiting_memory.hpp"
#include "server/responses/response_record.hpp"

namespace solard::server {

// Limits the bytes and the age of its responses. Each owner of memory has a share: the limit divided by the
// number of owners in the store. If the store is full, owners above their share lose their oldest ended
// responses. Other owners lose no response, and a running response is never removed. I/O thread only.
class ResponseStore {
  public:
    using Clock = std::chrono::steady_clock;

    // Charges ended responses to `memory`; the log of a running response is charged separately. `memory` must
    // outlive the store.
    ResponseStore(std::size_t max_bytes, Clock::duration max_age, WaitingMemory& memory)
        : max_bytes_(max_bytes), max_age_(max_age), memory_(memory) {}
    ResponseStore(const ResponseStore&) = delete;
    ResponseStore& operator=(const ResponseStore&) = delete;

    void insert(ResponsePtr record, Clock::time_point now);
    // Must be called when the log of a response is terminal. Does nothing if the response is not in the
    // store.
    void note_end(const ResponseRecord& record, Clock::time_point now);
    // Returns the response with this id, or null if this owner has no such response.
    ResponsePtr find(std::string_view id, std::uint64_t owner, Clock::time_point now);
    // Returns the response which this owner created with the solar.idempotency_key `key` within the last 5
    // minutes, or null if there is none.
    ResponsePtr find_repeated(std::string_view key, std::uint64_t owner, Clock::time_point now);
    // Forgets the response with this id. Returns false if this owner has no such response.
    bool erase(std::string_view id, std::uint64_t owner, Clock::time_point now);
    // Returns true if this owner had a response with this id and the store has forgotten it recently because
    // of its limits. A response which erase() removed has not expired.
    bool has_expired(const std::string& id, std::uint64_t owner) const;

    std::size_t size() const { return entries_.size(); }
    // Returns how many owners of memory have a response in the store.
    std::size_t num_owners() const;
    // Returns how many bytes the responses hold, including their logs and their places in the store.
    std::size_t bytes();

  private:
    struct Entry;
    using Entries = std::list<Entry>;
    struct Entry {
        ResponsePtr record;
        Clock::time_point inserted;
        std::list<Entries::iterator>::iterator place = {};  // position in Share::entries
        std::size_t bytes = 0;
        bool running = true;
    };
    struct Share {  // of one owner of memory
        Share(ResponseStore& store, std::uint64_t owner);
        std::size_t bytes = 0;                 // of all responses of the owner
        std::size_t ended_bytes = 0;           // of the ended responses of the owner
        std::list<Entries::iterator> entries;  // the oldest first
        WaitingAccount account;
    };
    using Key = std::pair<std::uint64_t, std::string_view>;  // owner and idempotency key

    Share& share_of(const Entry& entry) { return shares_.at(entry.record->memory_owner); }
    void count_share(Share& share, int sign);
    void recount(Entry& entry);
    void recount_running();
    void charge(Share& share);
    Entries::iterator first_too_old(Clock::time_point now);
    void forget_old(Clock::time_point now);
    void forget_beyond_shares();
    bool evict_oldest(Share& share);
    void shed(Share& share, std::size_t excess);
    void remember_expired(const ResponseRecord& record);
    void forget(Entries::iterator entry);

    std::size_t max_bytes_;
    Clock::duration max_age_;
    WaitingMemory& memory_;
    std::size_t bytes_ = 0;
    Entries entries_;  // the oldest first
    std::unordered_map<std::uint64_t, Share> shares_;
    // The keys of by_id_ and by_key_ refer to strings in the records.
    std::unordered_map<std::string_view, Entries::iterator> by_id_;
    std::map<Key, Entries::iterator> by_key_;
    std::vector<Entry*> running_;
    bool has_empty_shares_ = false;
    std::unordered_map<std::string, std::uint64_t> expired_;  // id -> owner
    std::deque<std::string> expired_order_;                   // ids in `expired_`, the oldest first
};

}  // namespace solard::server
