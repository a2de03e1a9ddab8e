#include <boost/test/unit_test.hpp>
#include <deque>
#include <string>

#include "server/observe/waiting_memory.hpp"

namespace solard::server {
namespace {

// An account which gives all its bytes back if it is asked to give bytes back.
struct Payer {
    Payer(WaitingMemory& memory, std::uint64_t owner, WaitingKind kind = WaitingKind::input)
        : account(memory, owner, kind, [this](std::size_t) {
              was_shed = true;
              account.resize(0);
          }) {}
    bool was_shed = false;
    WaitingAccount account;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(waiting_memory)

BOOST_AUTO_TEST_CASE(sum_follows_the_accounts_and_their_destruction) {
    WaitingMemory memory(100);
    {
        Payer a(memory, 1);
        Payer b(memory, 2);
        BOOST_TEST(a.account.resize(60));
        BOOST_TEST(b.account.resize(30));
        BOOST_TEST(memory.bytes() == 90);
        BOOST_TEST(a.account.resize(20));
        BOOST_TEST(memory.bytes() == 50);
    }
    BOOST_TEST(memory.bytes() == 0);
    BOOST_TEST(memory.num_shed() == 0);
}

BOOST_AUTO_TEST_CASE(small_request_passes_beside_a_large_one_of_the_same_owner) {
    WaitingMemory memory(100);
    Payer large(memory, 1);
    Payer small(memory, 1);
    BOOST_TEST(large.account.resize(95));
    BOOST_TEST(small.account.resize(10));
    BOOST_TEST(large.was_shed);
    BOOST_TEST(small.account.bytes() == 10);
}

BOOST_AUTO_TEST_CASE(owner_with_the_most_bytes_is_refused_and_keeps_what_it_has) {
    WaitingMemory memory(100);
    Payer a(memory, 1);
    Payer b(memory, 2);
    BOOST_TEST(a.account.resize(60));
    BOOST_TEST(b.account.resize(40));
    BOOST_TEST(!a.account.resize(61));
    BOOST_TEST(a.account.bytes() == 60);
    BOOST_TEST(memory.bytes() == 100);
    BOOST_TEST(memory.num_shed() == 1);
    BOOST_TEST(!a.was_shed);
    BOOST_TEST(!b.was_shed);
}

BOOST_AUTO_TEST_CASE(owner_below_its_share_gets_room_from_the_largest_account_of_the_largest_owner) {
    WaitingMemory memory(100);
    std::deque<Payer> flood;
    for (const std::size_t bytes : {20, 40, 30}) {
        flood.emplace_back(memory, 1);
        BOOST_TEST(flood.back().account.resize(bytes));
    }
    Payer other(memory, 2);
    BOOST_TEST(other.account.resize(15));
    BOOST_TEST(!flood[0].was_shed);
    BOOST_TEST(flood[1].was_shed);
    BOOST_TEST(!flood[2].was_shed);
    BOOST_TEST(memory.bytes() == 65);
}

BOOST_AUTO_TEST_CASE(sum_never_exceeds_the_limit_whoever_grows) {
    WaitingMemory memory(1000);
    std::deque<Payer> payers;
    for (std::uint64_t i = 0; i < 40; ++i)
        payers.emplace_back(memory, i % 4, static_cast<WaitingKind>(i % num_waiting_kinds));
    std::size_t step = 0;
    for (int round = 0; round < 50; ++round) {
        for (Payer& payer : payers) {
            payer.account.resize(payer.account.bytes() + 1 + step++ % 37);
            BOOST_REQUIRE(memory.bytes() <= 1000U);
        }
    }
    BOOST_TEST(memory.bytes() > 900U);
}

BOOST_AUTO_TEST_CASE(unfinished_input_gives_way_before_output_of_the_same_owner) {
    WaitingMemory memory(100);
    Payer body(memory, 1);
    Payer log(memory, 1, WaitingKind::output);
    BOOST_TEST(log.account.resize(50));
    BOOST_TEST(body.account.resize(50));
    BOOST_TEST(log.account.resize(51));
    BOOST_TEST(body.was_shed);
    BOOST_TEST(!log.was_shed);
    BOOST_TEST(!log.account.resize(101));  // this owner has no other bytes to give back
}

BOOST_AUTO_TEST_CASE(account_which_gives_back_a_part_is_asked_until_it_suffices) {
    WaitingMemory memory(100);
    int num_calls = 0;
    std::unique_ptr<WaitingAccount> stored;
    stored = std::make_unique<WaitingAccount>(memory, 1, WaitingKind::response, [&](std::size_t excess) {
        ++num_calls;
        BOOST_TEST(excess == (num_calls == 1 ? 20U : 10U));
        stored->resize(stored->bytes() - 10);
    });
    BOOST_TEST(stored->resize(90));
    Payer other(memory, 2);
    BOOST_TEST(other.account.resize(30));
    BOOST_TEST(num_calls == 2);
    BOOST_TEST(stored->bytes() == 70);
}

BOOST_AUTO_TEST_CASE(bytes_count_as_free_even_if_the_account_has_given_nothing_back_yet) {
    WaitingMemory memory(100);
    WaitingAccount stuck(memory, 1, WaitingKind::output, [](std::size_t) {});
    BOOST_TEST(stuck.resize(90));
    Payer other(memory, 2);
    BOOST_TEST(other.account.resize(80));
    BOOST_TEST(stuck.bytes() == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
