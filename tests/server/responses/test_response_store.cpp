#include <boost/test/unit_test.hpp>

#include "server/responses/response_store.hpp"

namespace solard::server {
using namespace std::chrono_literals;

namespace {

constexpr ResponseStore::Clock::time_point start{1h};

ResponsePtr record(const std::string& id, std::uint64_t owner = 0, std::size_t bytes = 0) {
    auto made = std::make_shared<ResponseRecord>();
    made->owner = owner;
    made->facts.id = id;
    made->conversation.push_back({Role::user, std::string(bytes, 'x')});
    made->log = std::make_shared<GenerationLog>(1);
    return made;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(response_store)

BOOST_AUTO_TEST_CASE(only_its_owner_finds_a_response) {
    ResponseStore store(1 << 20, 1min);
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
    ResponseStore store(1 << 20, 1min);
    store.insert(record("a"), start);
    store.insert(record("b"), start + 30s);
    BOOST_TEST(!!store.find("a", 0, start + 60s));
    BOOST_TEST(!store.find("a", 0, start + 61s));
    BOOST_TEST(!!store.find("b", 0, start + 61s));
    BOOST_TEST(store.size() == 1);
}

BOOST_AUTO_TEST_CASE(instructions_and_metadata_count_towards_the_size) {
    ResponseStore store(10'000, 1h);
    auto large = record("a");
    large->facts.request.instructions = std::string(4'000, 'i');
    large->facts.request.metadata["k"] = std::string(4'000, 'm');
    store.insert(large, start);
    store.insert(record("b", 0, 1'500), start);
    BOOST_TEST(!store.find("a", 0, start));
    BOOST_TEST(!!store.find("b", 0, start));
}

BOOST_AUTO_TEST_CASE(has_expired_is_true_only_for_the_owner_and_not_for_erased_responses) {
    ResponseStore store(1 << 20, 1min);
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

BOOST_AUTO_TEST_CASE(an_idempotency_key_finds_its_response_for_five_minutes_and_only_for_its_owner) {
    ResponseStore store(1 << 20, 1h);
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

BOOST_AUTO_TEST_CASE(the_oldest_responses_are_forgotten_if_the_store_is_full) {
    ResponseStore store(10'000, 1h);
    store.insert(record("a", 0, 4'000), start);
    store.insert(record("b", 0, 4'000), start);
    store.insert(record("c", 0, 4'000), start);
    BOOST_TEST(!store.find("a", 0, start));
    BOOST_TEST(!!store.find("b", 0, start));
    BOOST_TEST(!!store.find("c", 0, start));
    // A forgotten response no longer counts towards the size.
    for (int i = 0; i < 100; ++i) {
        store.insert(record("d" + std::to_string(i), 0, 4'000), start);
        BOOST_TEST(store.size() == 2);
    }
    // If a response is larger than the whole store, all others are forgotten, and then this one as well.
    store.insert(record("e", 0, 20'000), start);
    BOOST_TEST(store.size() == 0);
}

BOOST_AUTO_TEST_CASE(a_response_counts_with_its_maximum_size) {
    ResponseStore store(100'000, 1h);
    auto with_logprobs = record("a");
    with_logprobs->max_tokens = 1'000;
    with_logprobs->facts.request.generation.sampling.num_logprobs = 20;
    store.insert(with_logprobs, start);
    BOOST_TEST(store.size() == 0);
    auto plain = record("b");
    plain->max_tokens = 1'000;
    store.insert(plain, start);
    BOOST_TEST(store.size() == 1);
}

BOOST_AUTO_TEST_CASE(the_state_follows_from_the_log) {
    const auto one = record("a");
    BOOST_TEST((one->state().status == ResponseStatus::in_progress));
    one->log->set_queued();
    BOOST_TEST((one->state().status == ResponseStatus::queued));
    one->log->set_started();
    BOOST_TEST((one->state().status == ResponseStatus::in_progress));
    one->log->append({.text = "a", .num_tokens = 1});
    BOOST_TEST(one->state().has_output);
    one->log->append({.text = "b", .num_tokens = 1, .finish = FinishReason::stop});
    BOOST_TEST((one->state().status == ResponseStatus::completed));
    BOOST_TEST(one->state().text == "ab");
    BOOST_TEST(one->state().completed_at > 0);

    const auto cut = record("b");
    cut->log->append({.text = "a", .num_tokens = 1, .finish = FinishReason::length});
    BOOST_TEST((cut->state().status == ResponseStatus::incomplete));
    const auto cancelled = record("c");
    cancelled->log->fail({errc::request_cancelled, "gone"});
    BOOST_TEST((cancelled->state().status == ResponseStatus::cancelled));
    const auto failed = record("d");
    failed->log->fail({errc::engine_unavailable, "broken"});
    BOOST_TEST((failed->state().status == ResponseStatus::failed));
    BOOST_TEST(failed->state().failure->message == "broken");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
