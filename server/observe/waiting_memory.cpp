#include "server/observe/waiting_memory.hpp"

#include <algorithm>
#include <utility>

namespace solard::server {

Error no_waiting_memory() {
    return {errc::server_overloaded,
            "The server has reached its limit of waiting memory (--max-waiting-memory); retry later."};
}

WaitingMemory::Owner& WaitingMemory::largest_owner() {
    return std::ranges::max_element(owners_, {}, [](const auto& entry) { return entry.second.bytes; })
        ->second;
}

// Makes accounts give bytes back until the sum is within the limit. Returns false if `asker` is the account
// that would have to give bytes back.
bool WaitingMemory::make_room(const WaitingAccount& asker) {
    while (bytes_ > limit_) {
        ++num_shed_;
        Owner& owner = largest_owner();
        for (const auto& accounts : owner.accounts) {
            const auto largest = std::ranges::max_element(accounts, {}, &WaitingAccount::bytes);
            if (largest == accounts.end() || (*largest)->bytes() == 0) continue;
            WaitingAccount& victim = **largest;
            if (&victim == &asker) return false;
            const std::size_t before = victim.bytes();
            victim.shed_(bytes_ - limit_);
            // If the account frees its bytes later, they count as free now.
            if (victim.bytes() >= before) victim.set(0);
            break;
        }
    }
    return true;
}

WaitingAccount::WaitingAccount(WaitingMemory& memory, std::uint64_t owner, WaitingKind kind, Shed shed)
    : memory_(memory),
      owner_id_(owner),
      owner_(memory.owners_[owner]),
      kind_(kind),
      shed_(std::move(shed)),
      index_(owner_.accounts[static_cast<std::size_t>(kind)].size()) {
    owner_.accounts[static_cast<std::size_t>(kind)].push_back(this);
}

WaitingAccount::~WaitingAccount() {
    set(0);
    auto& accounts = owner_.accounts[static_cast<std::size_t>(kind_)];
    accounts[index_] = accounts.back();
    accounts[index_]->index_ = index_;
    accounts.pop_back();
    if (std::ranges::all_of(owner_.accounts, [](const auto& kind) { return kind.empty(); }))
        memory_.owners_.erase(owner_id_);
}

void WaitingAccount::set(std::size_t bytes) {
    memory_.bytes_ += bytes - bytes_;
    owner_.bytes += bytes - bytes_;
    bytes_ = bytes;
}

bool WaitingAccount::resize(std::size_t bytes) {
    const std::size_t before = bytes_;
    set(bytes);
    if (bytes <= before || memory_.make_room(*this)) return true;
    set(before);
    return false;
}

}  // namespace solard::server
