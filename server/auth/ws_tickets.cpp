#include "server/auth/ws_tickets.hpp"

#include "server/config/random_bits.hpp"

namespace solard::server {

std::string WsTickets::issue(std::optional<std::size_t> key, Clock::time_point now) {
    std::string text = "wst_" + random_hex();
    tickets_.emplace(text, Ticket{key, now + lifetime});
    auto& issued = issued_[key];
    issued.push_back(text);
    if (issued.size() > max_per_key) {
        tickets_.erase(issued.front());
        issued.pop_front();
    }
    return text;
}

std::optional<WsTickets::Ticket> WsTickets::find(const std::string& text, Clock::time_point now) const {
    const auto found = tickets_.find(text);
    if (found == tickets_.end() || found->second.expires <= now) return std::nullopt;
    return found->second;
}

}  // namespace solard::server
