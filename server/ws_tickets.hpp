// Single-use passes for a page whose key has characters that a subprotocol cannot hold.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>

namespace solard {

// I/O thread only; of bounded size, the oldest go first.
class WsTickets {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds lifetime{30};
    static constexpr std::size_t max_tickets = 4096;

    struct Ticket {
        std::optional<std::size_t> key;  // into ApiKeys::all(): who asked for it
        Clock::time_point expires;
    };
    // The new ticket: characters of [A-Za-z0-9_] only.
    std::string issue(std::optional<std::size_t> key, Clock::time_point now);
    // Nothing for one that is not known, was used or is too old.
    std::optional<Ticket> redeem(const std::string& text, Clock::time_point now);

  private:
    void forget_old(Clock::time_point now, std::size_t most);

    std::unordered_map<std::string, Ticket> tickets_;
    std::deque<std::string> order_;  // as issued; those that were used are still in it
};

}  // namespace solard
