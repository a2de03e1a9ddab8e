#include "server/ws_tickets.hpp"

#include "server/random_bits.hpp"

namespace solard {

std::string WsTickets::issue(std::optional<std::size_t> key, Clock::time_point now) {
    forget_old(now, max_tickets - 1);
    std::string text = "wst_" + random_hex();
    tickets_.emplace(text, Ticket{key, now + lifetime});
    order_.push_back(text);
    return text;
}

std::optional<WsTickets::Ticket> WsTickets::redeem(const std::string& text, Clock::time_point now) {
    forget_old(now, max_tickets);
    const auto found = tickets_.find(text);
    if (found == tickets_.end()) return std::nullopt;
    const Ticket ticket = found->second;
    tickets_.erase(found);
    return ticket;
}

void WsTickets::forget_old(Clock::time_point now, std::size_t most) {
    while (!order_.empty()) {
        const auto oldest = tickets_.find(order_.front());
        const bool is_good = oldest != tickets_.end() && oldest->second.expires > now;
        if (is_good && order_.size() <= most) return;
        if (oldest != tickets_.end()) tickets_.erase(oldest);
        order_.pop_front();
    }
}

}  // namespace solard
