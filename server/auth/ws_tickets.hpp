// Single-use tickets that open a WebSocket. A page sends its API key as a part of a subprotocol. If the key
// contains characters that a subprotocol must not contain, the page sends a ticket instead.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

namespace solard::server {

// I/O thread only. Each key has at most max_per_key tickets. If a key already has this many tickets, a new
// ticket replaces the oldest ticket of the key.
class WsTickets {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds lifetime{30};
    static constexpr std::size_t max_per_key = 64;

    struct Ticket {
        std::optional<std::size_t> key;  // index into ApiKeys::all() of the key that asked for the ticket
        Clock::time_point expires;
    };
    // Returns a new ticket, which consists of characters of [A-Za-z0-9_] only.
    std::string issue(std::optional<std::size_t> key, Clock::time_point now);
    // Returns nothing if the ticket is unknown, was used or has expired.
    std::optional<Ticket> find(const std::string& text, Clock::time_point now) const;
    void use(const std::string& text) { tickets_.erase(text); }

  private:
    std::unordered_map<std::string, Ticket> tickets_;
    // The tickets of each key in the order of issue. Used tickets stay in the list.
    std::map<std::optional<std::size_t>, std::deque<std::string>> issued_;
};

}  // namespace solard::server
