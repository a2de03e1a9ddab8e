#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "server/api/responses.hpp"
#include "server/responses/response_store.hpp"
#include "tests/support/count_allocations.hpp"

namespace solard::server {
using namespace std::chrono_literals;

namespace {

namespace json = boost::json;
constexpr ResponseStore::Clock::time_point start{1h};

ResponsePtr record(const std::string& id) {
    auto made = std::make_shared<ResponseRecord>();
    made->facts.id = id;
    made->log = std::make_shared<GenerationLog>(1);
    return made;
}

json::object request_of(std::size_t input_bytes) {
    return {{"input", std::string(input_bytes, 'x')}};
}

// A request, and the length of its answer.
struct Shape {
    std::string name;
    json::object request;
    int num_tokens = 8;
    std::size_t logprobs_of_a_token = 0;
    bool keeps_engine_fields = false;  // if true, make_record() does not call release_engine_fields()
};

std::vector<Shape> shapes() {
    std::vector<Shape> all{{"plain", request_of(10)}, {"long prompt", request_of(100'000)}};
    all.push_back({"long answer", request_of(10), 4'000});
    all.push_back({"no answer", request_of(10), 0});
    all.push_back({"logprobs", request_of(10), 100, 21});
    auto request = request_of(10);
    request["metadata"] = {{"a", "b"}};
    all.push_back({"one short metadata pair", request});
    json::object metadata;
    for (int i = 0; i < 16; ++i)
        metadata[std::string(60, 'k') + std::to_string(i)] =
            std::string(static_cast<std::size_t>(i) * 30, 'v');
    request["metadata"] = metadata;
    all.push_back({"metadata", request});
    request = request_of(10);
    request["instructions"] = std::string(5'000, 'i');
    request["user"] = std::string(500, 'u');
    all.push_back({"instructions and user", request});
    request["previous_response_id"] = "resp_0123456789012345678901234567890123456789";
    request["solar"] = {{"idempotency_key", std::string(200, 'k')}};
    all.push_back({"idempotency key and parent", request});
    request = request_of(10);
    json::object bias;
    for (int i = 0; i < 300; ++i) bias[std::to_string(i)] = 1;
    request["logit_bias"] = bias;
    request["stop"] = {"one", std::string(100, 's'), "three"};
    all.push_back({"logit_bias and stop which are released", request});
    all.push_back({"logit_bias and stop", request, 8, 0, true});
    json::array messages;
    for (int i = 0; i < 300; ++i) messages.push_back({{"role", "user"}, {"content", std::to_string(i)}});
    request = {{"input", messages}};
    all.push_back({"many short messages", request});
    messages.clear();
    for (std::size_t i = 0; i < 40; ++i)
        messages.push_back({{"role", "user"}, {"content", std::string(i * 20, 'm')}});
    request = {{"input", messages}};
    all.push_back({"messages", request, 200});
    return all;
}

// Makes a record in the same way as ResponseService::create(), but without a running generation.
ResponsePtr make_record(const Shape& shape, const std::string& body, int number, std::uint64_t owner) {
    auto request = parse_response_request(body, UnknownFields::refused).value();
    auto made = record("resp_012345678901234567890123456789" + std::to_string(1'000'000 + number));
    made->memory_owner = owner;
    made->facts.item_id = "msg_012345678901234567890123456789";
    made->facts.model = "solard-demo";
    made->conversation = request.input;
    if (!request.idempotency_key.empty()) request.idempotency_key += std::to_string(number);
    if (!shape.keeps_engine_fields) release_engine_fields(request);
    made->facts.request = std::move(request);
    return made;
}

void finish(const Shape& shape, GenerationLog& log) {
    const std::vector<TokenLogprob> logprobs(shape.logprobs_of_a_token);
    for (int i = 0; i < shape.num_tokens; ++i)
        log.append({.text = "token", .num_tokens = 1, .logprobs = logprobs});
    log.append({.text = "", .num_tokens = 1, .finish = FinishReason::stop});
}

void check_counted(const Shape& shape, std::size_t counted, std::int64_t allocated) {
    const double ratio = static_cast<double>(counted) / static_cast<double>(allocated);
    BOOST_TEST(ratio > 0.9, shape.name << ": counted " << counted << " of " << allocated);
    BOOST_TEST(ratio < 1.1, shape.name << ": counted " << counted << " of " << allocated);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(response_record)

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

BOOST_AUTO_TEST_CASE(counted_bytes_are_the_allocated_bytes_within_a_tenth) {
    constexpr int num_records = 64;
    for (const Shape& shape : shapes()) {
        for (const bool one_owner : {true, false}) {
            const std::string body = json::serialize(shape.request);
            WaitingMemory memory(1 << 30);
            const auto begin = allocated_bytes();
            ResponseStore store(1 << 30, 1h, memory);
            for (int i = 0; i < num_records; ++i) {
                auto made = make_record(shape, body, i, one_owner ? 0U : static_cast<std::uint64_t>(i));
                store.insert(made, start);
                finish(shape, *made->log);
                store.note_end(*made, start);
            }
            BOOST_TEST(store.size() == static_cast<std::size_t>(num_records));
            check_counted(shape, store.bytes(), allocated_bytes() - begin);
            BOOST_TEST(memory.bytes() <= store.bytes());
        }
    }
}

BOOST_AUTO_TEST_CASE(running_response_is_counted_while_its_log_grows) {
    for (const Shape& shape : shapes()) {
        const std::string body = json::serialize(shape.request);
        WaitingMemory memory(1 << 30);
        const auto begin = allocated_bytes();
        ResponseStore store(1 << 30, 1h, memory);
        std::vector<ResponsePtr> records;
        for (int i = 0; i < 64; ++i) {
            records.push_back(make_record(shape, body, i, 0));
            store.insert(records.back(), start);
            const std::vector<TokenLogprob> logprobs(shape.logprobs_of_a_token);
            for (int token = 0; token < 100; ++token)
                records.back()->log->append({.text = "token", .num_tokens = 1, .logprobs = logprobs});
        }
        check_counted(shape, store.bytes(), allocated_bytes() - begin);
    }
}

BOOST_AUTO_TEST_CASE(logit_bias_and_stop_strings_are_counted_and_released_with_the_fields_of_the_engine) {
    auto request = parse_response_request(R"({"input":"hi","stop":["a text of more than fifteen bytes"]})",
                                          UnknownFields::refused)
                       .value();
    const std::size_t without_bias = heap_bytes(request);
    for (int i = 0; i < 300; ++i) request.generation.sampling.logit_bias.push_back({i, 1});
    BOOST_TEST(heap_bytes(request) >= without_bias + 300 * sizeof(LogitBias));
    release_engine_fields(request);
    BOOST_TEST(heap_bytes(request) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
