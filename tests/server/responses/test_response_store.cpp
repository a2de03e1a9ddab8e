#include <boost/test/unit_test.hpp>

#include "server/responses/response_store.hpp"

namespace solard::server {
using namespace std::chrono_literals;

namespace {

constexpr ResponseStore::Clock::time_point start{1h};

// Returns a response which still runs.
ResponsePtr running(const std::string& id, std::uint64_t owner = 0, std::size_t bytes = 0) {
    auto made = std::make_shared<ResponseRecord>();
    made->owner = owner;
    made->memory_owner = owner;
    made->facts.id = id;
    made->conversation.push_back({Role::user, std::string(bytes, 'x')});
    made->log = std::make_shared<GenerationLog>(1);
    return made;
}

// Returns a response which has ended.
ResponsePtr record(const std::string& id, std::uint64_t owner = 0, std::size_t bytes = 0) {
    auto made = running(id, owner, bytes);
    made->log->append({.text = "text", .num_tokens = 1, .finish = FinishReason::stop});
    return made;
}

struct Fixture {
    WaitingMemory memory{1 << 30};
    ResponseStore store{1 << 20, 1h, memory};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(response_store)

BOOST_FIXTURE_TEST_CASE(only_its_owner_finds_a_response, Fixture) {
    store.insert(record("a", 1), start);
    BOOST_TEST(store.find("a", 1, start)->facts.id == "a");
    BOOST_TEST(!store.find("a", 2, start));
    BOOST_TEST(!store.find("b", 1, start));
    BOOST_TEST(!store.erase("a", 2, start));
    BOOST_TEST(store.erase("a", 1, start));
    BOOST_TEST(!store.find("a", 1, start));
    BOOST_TEST(store.size() == 0);
}

BOOST_AUTO_TEST_CASE(old_responses_are_forgotten) {
    WaitingMemory memory(1 << 30);
    ResponseStore store(64 << 20, 1min, memory);
    store.insert(record("a"), start);
    store.insert(record("b"), start + 30s);
    BOOST_TEST(!!store.find("a", 0, start + 60s));
    BOOST_TEST(!store.find("a", 0, start + 61s));
    BOOST_TEST(!!store.find("b", 0, start + 61s));
    BOOST_TEST(store.size() == 1);
}

BOOST_AUTO_TEST_CASE(has_expired_is_true_only_for_the_owner_and_not_for_erased_responses) {
    WaitingMemory memory(1 << 30);
    ResponseStore store(64 << 20, 1min, memory);
    store.insert(record("a", 1), start);
    store.insert(record("b", 1), start);
    BOOST_TEST(!store.has_expired("a", 1));
    store.erase("b", 1, start);
    store.find("a", 1, start + 61s);
    BOOST_TEST(store.has_expired("a", 1));
    BOOST_TEST(!store.has_expired("a", 2));
    BOOST_TEST(!store.has_expired("b", 1));
    BOOST_TEST(!store.has_expired("never", 1));
    for (int i = 0; i < 4096; ++i) store.insert(record("x" + std::to_string(i), 1), start);
    store.find("", 1, start + 61s);
    BOOST_TEST(!store.has_expired("a", 1));  // only the newest 4096 expired ids are remembered
    BOOST_TEST(store.has_expired("x4095", 1));
}

BOOST_FIXTURE_TEST_CASE(an_idempotency_key_finds_its_response_for_five_minutes_and_only_for_its_owner,
                        Fixture) {
    const auto keyed = [](const std::string& id, std::uint64_t owner) {
        auto made = record(id, owner);
        made->facts.request.idempotency_key = "k";
        return made;
    };
    store.insert(keyed("a", 1), start);
    BOOST_TEST(store.find_repeated("k", 1, start + 300s)->facts.id == "a");
    BOOST_TEST(!store.find_repeated("k", 1, start + 301s));
    BOOST_TEST(!store.find_repeated("k", 2, start));
    BOOST_TEST(!store.find_repeated("other", 1, start));
    store.insert(keyed("b", 2), start);
    store.erase("a", 1, start);
    BOOST_TEST(!store.find_repeated("k", 1, start));
    BOOST_TEST(store.find_repeated("k", 2, start)->facts.id == "b");
    store.insert(keyed("c", 2), start + 400s);  // after five minutes the key can be used again
    store.erase("b", 2, start + 400s);
    BOOST_TEST(store.find_repeated("k", 2, start + 400s)->facts.id == "c");
}

BOOST_FIXTURE_TEST_CASE(oldest_responses_are_forgotten_if_the_store_is_full, Fixture) {
    store.insert(record("a", 0, 400'000), start);
    store.insert(record("b", 0, 400'000), start);
    store.insert(record("c", 0, 400'000), start);
    BOOST_TEST(!store.find("a", 0, start));
    BOOST_TEST(store.has_expired("a", 0));
    BOOST_TEST(!!store.find("b", 0, start));
    BOOST_TEST(!!store.find("c", 0, start));
    // A forgotten response no longer counts towards the size of the store.
    for (int i = 0; i < 100; ++i) {
        store.insert(record("d" + std::to_string(i), 0, 400'000), start);
        BOOST_TEST(store.size() == 2);
    }
    // If a response is larger than the whole store, all other responses are forgotten, and then the large
    // response as well.
    store.insert(record("e", 0, 2'000'000), start);
    BOOST_TEST(store.size() == 0);
    BOOST_TEST(store.bytes() == 0U);
    BOOST_TEST(memory.bytes() == 0U);
}

BOOST_FIXTURE_TEST_CASE(flood_of_one_owner_does_not_push_out_a_response_of_another, Fixture) {
    store.insert(record("mine", 2, 1'000), start);
    for (int i = 0; i < 10'000; ++i) store.insert(record("a" + std::to_string(i), 1, 1'000), start);
    BOOST_TEST(!!store.find("mine", 2, start));
    BOOST_TEST(!store.find("a0", 1, start));
    BOOST_TEST(!!store.find("a9999", 1, start));
    BOOST_TEST(store.num_owners() == 2U);
    BOOST_TEST(store.bytes() <= 1U << 20);
    BOOST_TEST(store.bytes() > (1U << 20) - 4'000);
}

BOOST_FIXTURE_TEST_CASE(owner_above_its_share_makes_room_for_one_below_it, Fixture) {
    for (int i = 0; i < 3; ++i) store.insert(record("a" + std::to_string(i), 1, 300'000), start);
    for (int i = 0; i < 2; ++i) store.insert(record("b" + std::to_string(i), 2, 200'000), start);
    BOOST_TEST(!store.find("a0", 1, start));
    BOOST_TEST(!!store.find("b0", 2, start));
    BOOST_TEST(!!store.find("b1", 2, start));
    store.insert(record("b2", 2, 200'000), start);  // with this response, owner 2 has more bytes than owner 1
    BOOST_TEST(!!store.find("a1", 1, start));
    BOOST_TEST(!store.find("b0", 2, start));
}

BOOST_FIXTURE_TEST_CASE(running_response_counts_as_it_grows_and_is_kept, Fixture) {
    const auto growing = running("a", 1);
    store.insert(growing, start);
    store.insert(record("b", 1, 400'000), start);
    store.insert(record("c", 2, 400'000), start);
    const std::size_t before = store.bytes();
    for (int i = 0; i < 30'000; ++i) growing->log->append({.text = "0123456789", .num_tokens = 1});
    BOOST_TEST(store.bytes() > before + 1'000'000);
    BOOST_TEST(!!store.find("a", 1, start + 2h));  // a running response is kept, however old it is
    BOOST_TEST(!store.find("b", 1, start));
    growing->log->append({.text = "", .num_tokens = 1, .finish = FinishReason::stop});
    store.note_end(*growing, start);
    BOOST_TEST(!store.find("a", 1, start));  // an ended response is removed if it is too large for the store
}

BOOST_FIXTURE_TEST_CASE(running_responses_of_one_owner_do_not_push_out_those_of_another, Fixture) {
    store.insert(record("mine", 2, 400'000), start);
    const auto growing = running("a", 1);
    store.insert(growing, start);
    for (int i = 0; i < 30'000; ++i) growing->log->append({.text = "0123456789", .num_tokens = 1});
    BOOST_TEST(!!store.find("mine", 2, start));
    BOOST_TEST(!!store.find("a", 1, start));
}

BOOST_FIXTURE_TEST_CASE(idempotency_index_does_not_grow_with_repeated_keys, Fixture) {
    const auto keyed = [](int i) {
        auto made = record("r" + std::to_string(i), 1);
        made->facts.request.idempotency_key = "key which is used every ten minutes";
        return made;
    };
    ResponseStore small(20'000, 1h, memory);
    for (int i = 0; i < 1'000; ++i) small.insert(keyed(i), start + i * 10min);
    BOOST_TEST(small.find_repeated(keyed(0)->facts.request.idempotency_key, 1, start + 9'990min)->facts.id ==
               "r999");
    BOOST_TEST(small.size() < 20U);
}

BOOST_AUTO_TEST_CASE(stored_responses_are_evicted_if_the_budget_needs_their_bytes) {
    WaitingMemory memory(1'000'000);
    ResponseStore store(1 << 30, 1h, memory);
    for (int i = 0; i < 3; ++i) store.insert(record("a" + std::to_string(i), 1, 200'000), start);
    store.insert(record("b", 2, 200'000), start);
    BOOST_TEST(memory.bytes() <= store.bytes());
    BOOST_TEST(memory.bytes() > 800'000U);
    WaitingAccount body(memory, 3, WaitingKind::input, [](std::size_t) {});
    BOOST_TEST(body.resize(300'000));
    BOOST_TEST(!store.find("a0", 1, start));
    BOOST_TEST(store.has_expired("a0", 1));
    BOOST_TEST(!!store.find("a1", 1, start));
    BOOST_TEST(!!store.find("b", 2, start));
    // If the owner of the new response has the most bytes, the store evicts responses of this owner.
    store.insert(record("a3", 1, 200'000), start);
    store.insert(record("a4", 1, 200'000), start);
    BOOST_TEST(memory.bytes() <= 1'000'000U);
    BOOST_TEST(!!store.find("a4", 1, start));
    BOOST_TEST(!!store.find("b", 2, start));
    BOOST_TEST(body.bytes() == 300'000U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
