#include "server/responses/response_store.hpp"

#include <algorithm>

#include "server/observe/heap_bytes.hpp"

namespace solard::server {
namespace {

// Two requests with the same idempotency key within this time are the same request.
constexpr std::chrono::minutes repeat_time{5};

// The number of ids which are remembered after their responses were forgotten.
constexpr std::size_t max_expired = 4096;

}  // namespace

ResponseStore::Share::Share(ResponseStore& store, std::uint64_t owner)
    : account(store.memory_, owner, WaitingKind::response,
              [this, &store](std::size_t excess) { store.shed(*this, excess); }) {}

std::size_t ResponseStore::num_owners() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(shares_, [](const auto& share) { return !share.second.entries.empty(); }));
}

std::size_t ResponseStore::bytes() {
    recount_running();
    return bytes_;
}

// All allocations come first, so that the store is unchanged if an allocation throws.
void ResponseStore::insert(ResponsePtr record, Clock::time_point now) {
    if (has_empty_shares_)
        std::erase_if(shares_, [](const auto& share) { return share.second.entries.empty(); });
    has_empty_shares_ = true;  // the owner's share is empty until the new response is added to it
    Share& share = shares_.try_emplace(record->memory_owner, *this, record->memory_owner).first->second;
    const ResponseFacts& facts = record->facts;
    const Key key{record->owner, facts.request.idempotency_key};
    Entries added;
    added.push_back({.record = std::move(record), .inserted = now});
    const auto entry = added.begin();
    std::list<Entries::iterator> place{entry};
    entry->place = place.begin();
    std::map<Key, Entries::iterator> keyed;
    if (!key.second.empty()) keyed.emplace(key, entry);
    running_.reserve(running_.size() + 1);
    by_id_.emplace(facts.id, entry);

    if (share.entries.empty()) count_share(share, 1);
    entries_.splice(entries_.end(), added);
    share.entries.splice(share.entries.end(), place);
    has_empty_shares_ = false;
    by_key_.erase(key);  // the old key refers to a string of an older record
    by_key_.merge(keyed);
    running_.push_back(&*entry);
    recount(*entry);
    if (!entry->record->log->terminal()) return forget_old(now);
    note_end(*entry->record, now);
}

void ResponseStore::note_end(const ResponseRecord& record, Clock::time_point now) {
    const auto found = by_id_.find(record.facts.id);
    if (found == by_id_.end() || !found->second->running) return;
    Entry& entry = *found->second;
    release_after_end(*entry.record);
    recount(entry);
    std::erase(running_, &entry);
    entry.running = false;
    record.log->end_charge();
    Share& share = share_of(entry);
    share.ended_bytes += entry.bytes;
    charge(share);
    forget_old(now);
}

ResponsePtr ResponseStore::find(std::string_view id, std::uint64_t owner, Clock::time_point now) {
    forget_old(now);
    const auto found = by_id_.find(id);
    if (found == by_id_.end() || found->second->record->owner != owner) return nullptr;
    return found->second->record;
}

ResponsePtr ResponseStore::find_repeated(std::string_view key, std::uint64_t owner, Clock::time_point now) {
    forget_old(now);
    const auto found = by_key_.find({owner, key});
    if (found == by_key_.end() || now - found->second->inserted > repeat_time) return nullptr;
    return found->second->record;
}

bool ResponseStore::erase(std::string_view id, std::uint64_t owner, Clock::time_point now) {
    if (!find(id, owner, now)) return false;
    forget(by_id_.find(id)->second);
    return true;
}

bool ResponseStore::has_expired(const std::string& id, std::uint64_t owner) const {
    const auto found = expired_.find(id);
    return found != expired_.end() && found->second == owner;
}

// Adds the memory which an owner needs besides its responses, here and in WaitingMemory. If `sign` is -1,
// subtracts it.
void ResponseStore::count_share(Share& share, int sign) {
    constexpr std::size_t waiting_memory_bytes = 208;
    constexpr std::size_t bytes =
        heap_block(sizeof(void*) + sizeof(std::uint64_t) + sizeof(Share)) + waiting_memory_bytes;
    bytes_ += sign < 0 ? -bytes : bytes;
    share.bytes += sign < 0 ? -bytes : bytes;
}

void ResponseStore::recount(Entry& entry) {
    // The sizes of the nodes of the store's containers. Each node holds its value, its links and, in the hash
    // tables, a hash.
    constexpr std::size_t link = sizeof(void*);
    constexpr std::size_t place_bytes =
        heap_block(2 * link + sizeof(Entry)) + heap_block(2 * link + sizeof(Entries::iterator)) +
        heap_block(2 * link + sizeof(std::string_view) + sizeof(Entries::iterator)) + 2 * link;
    constexpr std::size_t key_bytes = heap_block(4 * link + sizeof(Key) + sizeof(Entries::iterator));
    std::size_t bytes = place_bytes + record_bytes(*entry.record) + entry.record->log->bytes();
    if (!entry.record->facts.request.idempotency_key.empty()) bytes += key_bytes;
    bytes_ += bytes - entry.bytes;
    share_of(entry).bytes += bytes - entry.bytes;
    entry.bytes = bytes;
}

void ResponseStore::recount_running() {
    for (Entry* const entry : running_) recount(*entry);
}

// Charges the ended responses of the owner. If the budget has no room for them, forgets the oldest of these
// responses.
void ResponseStore::charge(Share& share) {
    while (!share.account.resize(share.ended_bytes)) evict_oldest(share);
}

void ResponseStore::shed(Share& share, std::size_t excess) {
    const std::size_t before = share.ended_bytes;
    while (before - share.ended_bytes < excess && evict_oldest(share)) {
    }
}

// Returns the oldest response which has ended and has reached the age limit; end() if there is none.
ResponseStore::Entries::iterator ResponseStore::first_too_old(Clock::time_point now) {
    auto entry = entries_.begin();
    while (entry != entries_.end() && now - entry->inserted > max_age_ && entry->running) ++entry;
    const bool found = entry != entries_.end() && now - entry->inserted > max_age_;
    return found ? entry : entries_.end();
}

void ResponseStore::forget_old(Clock::time_point now) {
    // No iterator is kept, because forget() can evict other responses.
    for (auto entry = first_too_old(now); entry != entries_.end(); entry = first_too_old(now)) {
        remember_expired(*entry->record);
        forget(entry);
    }
    recount_running();
    forget_beyond_shares();
}

// Forgets ended responses of owners above their share, until the store is within its limit. If all responses
// of these owners still run, the store stays above its limit until some of them end. Meanwhile,
// --max-waiting-memory limits the memory of the running responses.
void ResponseStore::forget_beyond_shares() {
    while (bytes_ > max_bytes_) {
        const std::size_t share_bytes = max_bytes_ / num_owners();
        Share* largest = nullptr;
        for (auto& [owner, share] : shares_) {
            if (share.bytes <= share_bytes || share.ended_bytes == 0) continue;
            if (largest == nullptr || share.bytes > largest->bytes) largest = &share;
        }
        if (largest == nullptr) return;
        evict_oldest(*largest);
    }
}

// Forgets the owner's oldest ended response. Returns false if the owner has no ended response.
bool ResponseStore::evict_oldest(Share& share) {
    const auto oldest =
        std::ranges::find_if(share.entries, [](const auto& entry) { return !entry->running; });
    if (oldest == share.entries.end()) return false;
    remember_expired(*(*oldest)->record);
    forget(*oldest);
    return true;
}

void ResponseStore::remember_expired(const ResponseRecord& record) {
    expired_order_.push_back(record.facts.id);
    expired_.emplace(record.facts.id, record.owner);
    if (expired_order_.size() <= max_expired) return;
    expired_.erase(expired_order_.front());
    expired_order_.pop_front();
}

// Does not remove the owner's share, even if the share is empty now, because shed() must not destroy the
// share's account.
void ResponseStore::forget(Entries::iterator entry) {
    const ResponsePtr record = std::move(entry->record);
    const ResponseFacts& facts = record->facts;
    Share& share = shares_.at(record->memory_owner);
    bytes_ -= entry->bytes;
    share.bytes -= entry->bytes;
    if (entry->running) {
        std::erase(running_, &*entry);
    } else {
        share.ended_bytes -= entry->bytes;
        share.account.resize(std::min(share.account.bytes(), share.ended_bytes));
    }
    share.entries.erase(entry->place);
    if (share.entries.empty()) {
        has_empty_shares_ = true;
        count_share(share, -1);
    }
    const auto key = by_key_.find({record->owner, facts.request.idempotency_key});
    if (key != by_key_.end() && key->second == entry) by_key_.erase(key);
    by_id_.erase(facts.id);
    const bool has_ended = !entry->running;
    entries_.erase(entry);
    // A client may still read the response, so the memory of its log stays charged.
    if (!has_ended || record.use_count() == 1) return;
    record->log->charge_also(record_bytes(*record));
    record->log->charge_to(memory_, record->memory_owner);
}

}  // namespace solard::server
