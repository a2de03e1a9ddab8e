#include "server/generation/queue_shares.hpp"

#include <boost/test/unit_test.hpp>

namespace solard::server {
using namespace std::chrono_literals;

namespace {

using Victims = std::vector<RequestId>;

// The limits are ten choices in flight and 100 waiting prompt tokens.
struct Fixture {
    Fixture() { shares.set_limits({.choices = 10, .tokens = 100}); }

    static Caller caller(std::uint64_t owner, std::uint64_t connection) {
        return {.principal = connection, .owner = owner, .connection = connection};
    }
    RequestId add(std::uint64_t owner, std::uint64_t connection,
                  Demand demand = {.choices = 1, .tokens = 1}) {
        shares.add(++last, caller(owner, connection), demand, false, now);
        return last;
    }
    // Returns the generations which must be displaced, or {0} if displacing does not make enough room.
    Victims make_room(std::uint64_t owner, std::uint64_t connection,
                      Demand demand = {.choices = 1, .tokens = 1}) {
        return shares.make_room(caller(owner, connection), demand, false, now).value_or(Victims{0});
    }
    // Nine connections wait, and the tenth one, whose request runs, has used much more than they have.
    void serve_nine_below_the_average() {
        for (std::uint64_t i = 1; i <= 10; ++i) add(1, i);
        for (RequestId id = 1; id <= 10; ++id) shares.serve(id, id == 10 ? 1000 : 100, now);
        shares.hold(10);
    }

    QueueShares shares;
    RequestId last = 0;
    QueueShares::Time now{1h};
};

}  // namespace

BOOST_FIXTURE_TEST_SUITE(queue_shares, Fixture)

BOOST_AUTO_TEST_CASE(newcomer_takes_the_place_of_the_youngest_request_of_the_largest_owner) {
    for (std::uint64_t i = 1; i <= 6; ++i) add(1, i);
    for (std::uint64_t i = 7; i <= 9; ++i) add(2, i);
    BOOST_TEST(make_room(3, 10) == Victims{}, boost::test_tools::per_element());
    add(1, 6);
    BOOST_TEST(make_room(3, 11) == (Victims{10}), boost::test_tools::per_element());
    BOOST_TEST(make_room(2, 11) == (Victims{10}), boost::test_tools::per_element());
    shares.remove(10);
    add(3, 11);
    BOOST_TEST(shares.in_flight().choices == 10);
}

BOOST_AUTO_TEST_CASE(displaced_owner_cannot_displace_back) {
    for (std::uint64_t i = 1; i <= 6; ++i) add(1, i);
    for (std::uint64_t i = 7; i <= 10; ++i) add(2, i);
    BOOST_TEST(make_room(2, 11) == (Victims{6}), boost::test_tools::per_element());
    shares.remove(6);
    add(2, 11);
    // Each of the two owners has five places. An owner must not displace a request of the other owner to get
    // a sixth place.
    BOOST_TEST(make_room(1, 6) == (Victims{0}), boost::test_tools::per_element());
    BOOST_TEST(make_room(2, 12) == (Victims{0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(work_that_has_begun_is_never_displaced) {
    for (std::uint64_t i = 1; i <= 10; ++i) shares.hold(add(1, i));
    BOOST_TEST(make_room(2, 11) == (Victims{0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(several_victims_make_room_for_a_large_request_or_none_is_displaced) {
    for (std::uint64_t i = 1; i <= 8; ++i) add(1, i);
    shares.hold(1);
    add(2, 20, {.choices = 2, .tokens = 2});
    BOOST_TEST(make_room(3, 30, {.choices = 3, .tokens = 1}) == (Victims{8, 7, 6}),
               boost::test_tools::per_element());
    // The newcomer would have five choices, so owner 1 may keep five of its eight choices. The other three
    // choices do not make enough room for the newcomer, so no request is displaced.
    BOOST_TEST(make_room(3, 30, {.choices = 5, .tokens = 1}) == (Victims{0}),
               boost::test_tools::per_element());
    BOOST_TEST(shares.in_flight().choices == 10);
    BOOST_TEST(make_room(3, 30) == (Victims{8}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(waiting_prompt_tokens_are_shared_in_the_same_way) {
    add(1, 1, {.choices = 1, .tokens = 50});
    add(1, 2, {.choices = 1, .tokens = 45});
    BOOST_TEST(make_room(2, 3, {.choices = 1, .tokens = 10}) == (Victims{1}),
               boost::test_tools::per_element());
    shares.release(1, {.tokens = 50});
    BOOST_TEST(make_room(2, 3, {.choices = 1, .tokens = 10}) == Victims{}, boost::test_tools::per_element());
    shares.release(2, {.tokens = 45});
    BOOST_TEST(make_room(2, 3, {.choices = 1, .tokens = 1000}) == Victims{},
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(within_an_owner_the_connection_that_was_served_most_yields) {
    for (std::uint64_t i = 1; i <= 10; ++i) add(1, i);
    BOOST_TEST(make_room(1, 11) == (Victims{0}), boost::test_tools::per_element());
    for (std::uint64_t i = 1; i <= 10; ++i) shares.serve(i, i == 4 ? 1000 : 100, now);
    BOOST_TEST(make_room(1, 3) == (Victims{4}), boost::test_tools::per_element());
    BOOST_TEST(make_room(1, 4) == (Victims{0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(new_connection_counts_as_the_average_of_its_owner) {
    for (std::uint64_t i = 1; i <= 9; ++i) add(1, i);
    for (std::uint64_t i = 1; i <= 9; ++i) shares.serve(i, 100, now);
    const auto busy = add(1, 10);
    shares.serve(busy, 900, now);
    // A new connection counts as if it had used the average of all connections of its owner. Here, only the
    // busiest connection has used more than the average.
    BOOST_TEST(make_room(1, 11) == (Victims{10}), boost::test_tools::per_element());
    // The client of the busy request reconnects. The request on the new connection is still displaced before
    // the requests on the connections that stayed open.
    shares.remove(busy);
    shares.close(caller(1, 10));
    shares.serve(add(1, 12), 100, now);
    BOOST_TEST(make_room(1, 1) == (Victims{0}), boost::test_tools::per_element());
    BOOST_TEST(make_room(1, 13) == (Victims{11}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(refused_connection_gets_its_turn_after_the_others_were_served) {
    serve_nine_below_the_average();
    BOOST_TEST(make_room(1, 11) == (Victims{0}), boost::test_tools::per_element());
    for (std::uint64_t i = 1; i <= 9; ++i) shares.serve(i, 100, now);
    // The difference is too small for a displacement.
    BOOST_TEST(make_room(1, 11) == (Victims{0}), boost::test_tools::per_element());
    for (std::uint64_t i = 1; i <= 9; ++i) shares.serve(i, 100, now);
    BOOST_TEST(make_room(1, 11) == (Victims{9}), boost::test_tools::per_element());
    // A connection which was not refused before counts as the average.
    BOOST_TEST(make_room(1, 12) == (Victims{0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(refused_connections_do_not_lower_the_average_of_their_owner) {
    serve_nine_below_the_average();
    for (std::uint64_t i = 11; i <= 100; ++i)
        BOOST_TEST(make_room(1, i) == (Victims{0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(refused_connections_are_forgotten_when_they_close) {
    for (std::uint64_t i = 1; i <= 10; ++i) shares.hold(add(1, i));
    make_room(2, 11);
    BOOST_TEST(shares.num_owners() == 2U);
    shares.close(caller(2, 11));
    BOOST_TEST(shares.num_owners() == 1U);
}

BOOST_AUTO_TEST_CASE(use_is_forgotten_with_time) {
    for (std::uint64_t i = 1; i <= 10; ++i) add(i, i);
    shares.serve(1, 1'000'000, now);
    BOOST_TEST(make_room(20, 20) == (Victims{1}), boost::test_tools::per_element());
    now += 10min;
    shares.serve(2, 10, now);
    BOOST_TEST(make_room(20, 20) == (Victims{2}), boost::test_tools::per_element());
    for (std::uint64_t i = 1; i <= 10; ++i) {
        shares.remove(i);
        shares.close(caller(i, i));
    }
    BOOST_TEST(shares.num_owners() == 2U);  // those which were served
    now += 10min;
    shares.make_room(caller(1, 1), {}, false, now);
    BOOST_TEST(shares.num_owners() == 0U);
}

BOOST_AUTO_TEST_CASE(who_comes_when_told_takes_the_place_of_a_first_attempt_of_its_owner) {
    for (std::uint64_t i = 1; i <= 10; ++i) {
        Caller first = caller(1, i);
        first.num_retries = i == 10 ? 1 : 0;
        shares.add(i, first, {.choices = 1, .tokens = 1}, i == 10, now);
    }
    Caller retry = caller(1, 11);
    retry.num_retries = 1;
    BOOST_TEST(!shares.make_room(retry, {.choices = 1}, false, now).has_value());
    BOOST_TEST(shares.make_room(retry, {.choices = 1}, true, now).value() == (Victims{9}),
               boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(owner_shares_its_weight_among_its_active_connections) {
    BOOST_TEST(shares.num_active(caller(1, 1)) == 1U);
    add(1, 1);
    add(1, 1);
    add(1, 2);
    BOOST_TEST(shares.num_active(caller(1, 1)) == 2U);
    BOOST_TEST(shares.num_active(caller(1, 3)) == 3U);
    BOOST_TEST(shares.num_active(caller(2, 4)) == 1U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
