#include "server/connection_table.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <random>
#include <tuple>
#include <vector>

namespace solard::server {
namespace {

using Id = ConnectionTable::Id;

constexpr std::uint64_t flooder = 1;
constexpr std::uint64_t small = 2;
constexpr std::uint64_t newcomer = 3;

BOOST_AUTO_TEST_SUITE(connection_table)

BOOST_AUTO_TEST_CASE(table_is_full_at_its_capacity_and_has_room_after_a_removal) {
    ConnectionTable table(2);
    table.add(1, flooder);
    BOOST_TEST(!table.is_full());
    table.add(2, small);
    BOOST_TEST(table.is_full());
    table.remove(1);
    table.remove(1);  // a second call for the same connection must have no effect
    table.set_interruptible(1, true);
    BOOST_TEST(!table.is_full());
    BOOST_TEST((table.victim() == Id{2}));
}

BOOST_AUTO_TEST_CASE(network_with_the_most_connections_loses_its_oldest_one) {
    ConnectionTable table(6);
    table.add(10, small);
    for (const Id id : {11U, 12U, 13U, 14U}) table.add(id, flooder);
    table.add(15, small);
    BOOST_TEST((table.victim_for(newcomer) == Id{11}));
    BOOST_TEST((table.victim_for(small) == Id{11}));
    BOOST_TEST((table.victim_for(flooder) == Id{11}));  // a connection of `flooder` itself
    BOOST_TEST((table.victim() == Id{11}));
}

BOOST_AUTO_TEST_CASE(connection_in_the_middle_of_an_answer_is_never_closed) {
    ConnectionTable table(3);
    for (const Id id : {1U, 2U, 3U}) table.add(id, flooder);
    table.set_interruptible(1, false);
    BOOST_TEST((table.victim_for(newcomer) == Id{2}));
    table.set_interruptible(2, false);
    table.set_interruptible(1, true);  // connection 1 is now idle, but for a shorter time than connection 3
    BOOST_TEST((table.victim_for(newcomer) == Id{3}));
    table.set_interruptible(3, false);
    BOOST_TEST((table.victim_for(newcomer) == Id{1}));
    table.set_interruptible(1, false);
    BOOST_TEST(!table.victim_for(newcomer));
    BOOST_TEST(!table.victim());
}

BOOST_AUTO_TEST_CASE(if_nothing_of_the_largest_network_can_be_closed_the_next_one_loses) {
    ConnectionTable table(5);
    for (const Id id : {1U, 2U, 3U}) {
        table.add(id, flooder);
        table.set_interruptible(id, false);
    }
    table.add(4, small);
    table.add(5, small);
    BOOST_TEST((table.victim_for(newcomer) == Id{4}));
}

BOOST_AUTO_TEST_CASE(network_never_loses_a_connection_to_one_that_has_more) {
    ConnectionTable table(5);
    for (const Id id : {1U, 2U, 3U}) table.add(id, flooder);
    for (const Id id : {4U, 5U}) table.add(id, small);
    BOOST_TEST((table.victim_for(flooder) == Id{1}));
    for (const Id id : {1U, 2U, 3U}) table.set_interruptible(id, false);
    BOOST_TEST(!table.victim_for(flooder));
    BOOST_TEST((table.victim_for(small) == Id{4}));  // a connection of `small` itself
}

BOOST_AUTO_TEST_CASE(newcomer_gets_a_place_if_every_network_has_one_idle_connection) {
    ConnectionTable table(3);
    table.add(1, 30);
    table.add(2, 10);
    table.add(3, 20);
    BOOST_TEST((table.victim_for(newcomer) == Id{1}));  // the connection with the longest idle time
    table.set_interruptible(1, false);
    table.set_interruptible(1, true);
    BOOST_TEST((table.victim_for(newcomer) == Id{2}));
    BOOST_TEST((table.victim_for(10) == Id{2}));
}

// Changes the table at random. After each change, compares the victim with the result of a search through all
// connections.
BOOST_AUTO_TEST_CASE(victim_is_always_the_one_that_a_search_finds) {
    struct Entry {
        Id id;
        std::uint64_t network;
        int since;  // 0: not interruptible
    };
    std::mt19937 random(1);
    const auto below = [&](std::size_t limit) { return random() % limit; };
    ConnectionTable table(1000);
    std::vector<Entry> entries;
    int time = 0;
    for (Id id = 1; id < 5000; ++id) {
        const auto count_of = [&](std::uint64_t network) {
            return std::ranges::count(entries, network, &Entry::network);
        };
        if (entries.size() < 40 || below(2) == 0) {
            entries.push_back({id, below(5), ++time});
            table.add(id, entries.back().network);
        } else if (below(2) == 0) {
            const auto gone = entries.begin() + static_cast<std::ptrdiff_t>(below(entries.size()));
            table.remove(gone->id);
            entries.erase(gone);
        }
        if (entries.size() > 60) {
            table.remove(entries.front().id);
            entries.erase(entries.begin());
        }
        Entry& changed = entries[below(entries.size())];
        changed.since = changed.since == 0 ? ++time : 0;
        table.set_interruptible(changed.id, changed.since != 0);

        const auto network = below(6);
        // Three criteria decide which connection is chosen: first the number of connections of its network,
        // then whether this is the network of the newcomer, then the time for which the connection was idle.
        const auto rank = [&](const Entry& entry) {
            const bool is_own = entry.network == network;
            return std::tuple(count_of(entry.network) + (is_own ? 1 : 0), is_own, -entry.since);
        };
        const Entry* expected = nullptr;
        for (const Entry& entry : entries) {
            if (entry.since == 0 || get<0>(rank(entry)) < count_of(network) + 1) continue;
            if (expected == nullptr || rank(*expected) < rank(entry)) expected = &entry;
        }
        const auto found = table.victim_for(network);
        BOOST_REQUIRE(found.has_value() == (expected != nullptr));
        if (found) BOOST_REQUIRE(*found == expected->id);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::server
