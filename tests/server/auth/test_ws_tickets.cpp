#include "server/auth/ws_tickets.hpp"

#include <boost/test/unit_test.hpp>
#include <cctype>

namespace solard::server {
using namespace std::chrono_literals;

BOOST_AUTO_TEST_SUITE(ws_tickets)

BOOST_AUTO_TEST_CASE(ticket_works_once_within_30_seconds_and_new_tickets_replace_the_oldest) {
    WsTickets tickets;
    const WsTickets::Clock::time_point now{1h};
    const auto ticket = tickets.issue(3, now);
    for (const char c : ticket) BOOST_TEST((std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'));
    BOOST_TEST((tickets.find(ticket, now + 29s)->key == 3U));
    BOOST_TEST(!tickets.find(ticket, now + 30s).has_value());
    tickets.use(ticket);
    BOOST_TEST(!tickets.find(ticket, now + 29s).has_value());
    tickets.use("wst_unknown");
    BOOST_TEST(!tickets.find("wst_unknown", now).has_value());
    const auto first = tickets.issue(1, now);
    const auto of_another = tickets.issue(2, now);
    for (std::size_t i = 1; i < WsTickets::max_per_key; ++i) tickets.issue(1, now);
    BOOST_TEST(tickets.find(first, now).has_value());
    tickets.issue(1, now);
    BOOST_TEST(!tickets.find(first, now).has_value());
    BOOST_TEST(tickets.find(of_another, now).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
