// Single-use passes for a page whose key has characters that a subprotocol cannot hold.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

namespace solard::server {

// I/O thread only; of bounded size for each key, of which the oldest go first.
class WsTickets {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds lifetime{30};
    static constexpr std::size_t max_per_key = 64;

    struct Ticket {
        std::optional<std::size_t> key;  // into ApiKeys::all(): who asked for it
        Clock::time_point expires;
    };
    // The new ticket: characters of [A-Za-z0-9_] only.
    std::string issue(std::optional<std::size_t> key, Clock::time_point now);
    // Nothing for one that is not known, was used or is too old.
    std::optional<Ticket> find(const std::string& text, Clock::time_point now) const;
    void use(const std::string& text) { tickets_.erase(text); }

  private:
    std::unordered_map<std::string, Ticket> tickets_;
    // As issued, by key; those that were used are still in it.
    std::map<std::optional<std::size_t>, std::deque<std::string>> issued_;
};

}  // namespace solard::server
