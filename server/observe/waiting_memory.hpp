// The budget for the memory of data that waits: unfinished input, requests which wait for their turn, answers
// which wait for their readers, and stored responses.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "server/config/error.hpp"

namespace solard::server {

// The kind of memory that an account pays for. An owner has to give its memory back in this order, because
// the later kinds have cost more work.
enum class WaitingKind : std::uint8_t {
    request,   // the requests which wait on the lanes of a socket
    input,     // a body or a message which is being read or parsed
    response,  // stored responses
    output,    // the output of a generation, or a rendered answer which is being written
};
inline constexpr std::size_t num_waiting_kinds = 4;

class WaitingAccount;

// Limits the sum of all accounts. If the sum would exceed the limit, the owner with the most bytes has to
// give bytes back, because this owner is furthest above its share. This owner gives up bytes of the first
// WaitingKind before those of the later kinds. Among accounts of the same kind, the largest account gives
// bytes back first, so that small requests pass beside large ones of the same owner. An owner is a number
// that memory_owner() (auth/access.hpp) returns. I/O thread only. Must outlive its accounts.
class WaitingMemory {
  public:
    explicit WaitingMemory(std::size_t limit) : limit_(limit) {}
    WaitingMemory(const WaitingMemory&) = delete;
    WaitingMemory& operator=(const WaitingMemory&) = delete;

    std::size_t bytes() const { return bytes_; }  // the sum of all accounts
    // Returns how often an account was refused more bytes or had to give bytes back.
    std::uint64_t num_shed() const { return num_shed_; }

  private:
    friend class WaitingAccount;
    struct Owner {
        std::size_t bytes = 0;
        std::array<std::vector<WaitingAccount*>, num_waiting_kinds> accounts;  // by kind
    };
    bool make_room(const WaitingAccount& asker);
    Owner& largest_owner();

    std::size_t limit_;
    std::size_t bytes_ = 0;
    std::uint64_t num_shed_ = 0;
    std::unordered_map<std::uint64_t, Owner> owners_;  // all owners that have an account
};

// Charges bytes to an owner. The destructor gives the bytes back.
class WaitingAccount {
  public:
    // A function that must give back at least `excess` bytes, or all bytes if the account has fewer. It must
    // free the memory, immediately or soon, and call resize(). It must not destroy this account.
    using Shed = std::function<void(std::size_t excess)>;

    // `shed` is called if other accounts need the bytes.
    WaitingAccount(WaitingMemory& memory, std::uint64_t owner, WaitingKind kind, Shed shed);
    ~WaitingAccount();
    WaitingAccount(const WaitingAccount&) = delete;
    WaitingAccount& operator=(const WaitingAccount&) = delete;

    // Changes the number of bytes which the account pays for. If the sum would then exceed the limit and this
    // account would have to give bytes back, changes nothing, does not call `shed`, and returns false.
    // Allocates no memory.
    bool resize(std::size_t bytes);
    std::size_t bytes() const { return bytes_; }

  private:
    friend class WaitingMemory;
    void set(std::size_t bytes);

    WaitingMemory& memory_;
    const std::uint64_t owner_id_;
    WaitingMemory::Owner& owner_;
    const WaitingKind kind_;
    const Shed shed_;
    std::size_t index_;  // of this account in owner_.accounts[kind_]
    std::size_t bytes_ = 0;
};

// Returns the error for a request whose memory the budget has no room for: server_overloaded.
Error no_waiting_memory();

}  // namespace solard::server
