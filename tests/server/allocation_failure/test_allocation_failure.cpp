// Repeats each of many kinds of request. Each time, a different allocation of the request fails. After a
// failed allocation, at most one answer may be incorrect. The server must continue to work, and must free
// everything which it used for the request.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <span>
#include <thread>

#include "server/auth/api_keys.hpp"
#include "tests/server/allocation_failure/failing_allocator.hpp"
#include "tests/server/allocation_failure/request_kinds.hpp"
#include "tests/support/running_service.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

constexpr std::uint64_t max_allocations = 20'000;  // limit for one request
constexpr int max_tries = 5'000;                   // maximum number of queries until everything must be free

// A text for error messages: the kind of request and the number of the allocation under test.
std::string current;

// Two API keys. The key of the tester allows only two requests in flight. If the server
// still counted requests that have ended, new requests would soon be refused.
struct Keys {
    Keys() : path(SOLARD_TEST_BUILD_DIR "/allocation-failure-" + std::to_string(getpid())) {
        const auto tester = make_api_key("tester");
        const auto bystander = make_api_key("bystander");
        std::ofstream(path) << tester.line << " concurrency=2\n" << bystander.line << '\n';
        std::filesystem::permissions(
            path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
        tester_secret = tester.secret;
        bystander_secret = bystander.secret;
    }
    ~Keys() { std::filesystem::remove(path); }
    std::string path;
    std::string tester_secret;
    std::string bystander_secret;
};

FakeOptions fake_options() {
    FakeOptions options;
    options.capacity.num_blocks = 512;
    options.capacity.max_model_len = 4096;
    // This script runs on the engine thread. No allocation of this thread may fail, because its allocations
    // do not belong to a single request.
    options.script = [](std::span<const TokenId>) {
        exempt_this_thread();
        return std::optional<SampledToken>();
    };
    return options;
}

std::string chat(const Target& target, std::int32_t max_tokens, bool stream) {
    return post(
        target, "/v1/chat/completions",
        R"({"messages":[{"role":"user","content":"bystander"}],"temperature":0,"seed":0,"max_tokens":)" +
            std::to_string(max_tokens) + R"(,"stream":)" + (stream ? "true}" : "false}"));
}

HttpAnswer ask(const Target& target, const std::string& request) {
    Connection connection(target.port);
    connection.send(request);
    return connection.read_answer();
}

// A client which requests and reads one stream after another, from its construction until join().
class Bystander {
  public:
    explicit Bystander(const Target& target)
        : thread_([this, target] {
              exempt_this_thread();
              const std::string request = chat(target, 1000, true);
              for (bool is_last = false; !is_last;) {
                  is_last = stopping_;
                  const auto outcome = outcome_of(ask(target, request), stream_of, expected(target));
                  ++outcomes_[outcome];
              }
          }) {}
    ~Bystander() {
        if (thread_.joinable()) join();
    }
    // Waits until the current stream has ended. Returns how many streams ended in each way.
    const std::map<Outcome, int>& join() {
        stopping_ = true;
        thread_.join();
        return outcomes_;
    }
    // Returns the result of stream_of() for a correct stream. The first call requests this stream, so no
    // allocation may fail during the first call.
    static const std::string& expected(const Target& target) {
        static const std::string essence = stream_of(ask(target, chat(target, 1000, true)));
        return essence;
    }

  private:
    std::atomic<bool> stopping_{false};
    std::map<Outcome, int> outcomes_;
    std::thread thread_;
};

// Returns the value of a metric.
std::string metric(const std::string& metrics, const std::string& name) {
    const auto at = metrics.find("} ", metrics.find("\n" + name + "{")) + 2;
    return metrics.substr(at, metrics.find('\n', at) - at);
}

// Returns how many connections, WebSockets, answers in flight and KV blocks the server has in use. The number
// of connections includes the connection of this query.
std::string holdings(const Target& target) {
    const auto metrics = ask(target, plain(target, "GET", "/metrics")).body;
    const auto engine = json::parse(ask(target, plain(target, "GET", "/v1/metadata")).body).at("engine");
    const auto blocks = engine.at("num_blocks").to_number<int>() - engine.at("free_blocks").to_number<int>();
    return metric(metrics, "solard_connections") + " connections, " + metric(metrics, "solard_websockets") +
           " sockets, " + metric(metrics, "solard_answers_in_flight") + " answers, " +
           std::to_string(blocks) + " blocks";
}

void check_nothing_is_left(const Target& target, const std::string& kind) {
    const std::string nothing = "1 connections, 0 sockets, 0 answers, 0 blocks";
    std::string held;
    for (int i = 0; i < max_tries && held != nothing; ++i) held = holdings(target);
    BOOST_CHECK_MESSAGE(held == nothing, kind << ": left over: " << held);
}

void check_server_works(const Target& target) {
    BOOST_REQUIRE_MESSAGE(ask(target, plain(target, "GET", "/v1/health/ready")).status == 200,
                          current << ": the health probe failed afterwards");
    static const std::string expected = ask(target, chat(target, 3, false)).body;
    const auto text_of = [](const std::string& body) {
        const auto begin = body.find(R"("message":)");
        return begin == std::string::npos ? body : body.substr(begin);
    };
    const auto answer = ask(target, chat(target, 3, false));
    BOOST_REQUIRE_MESSAGE(answer.status == 200 && text_of(answer.body) == text_of(expected),
                          current << ": a chat failed afterwards: " << answer.head << answer.body);
}

// Sends requests of one kind. In the first request allocation 1 fails, in the second request allocation 2,
// and so on. Returns how many requests ended in each way.
std::map<Outcome, int> fail_each_allocation(const Target& target, const RequestKind& kind) {
    std::map<Outcome, int> outcomes;
    for (std::uint64_t number = 1; number < max_allocations; ++number) {
        current = kind.name + ", allocation " + std::to_string(number);
        const auto send = kind.prepare(target);
        fail_allocation(number);
        Outcome outcome = Outcome::wrong;
        try {
            outcome = send();
        } catch (const std::exception& e) {
            stop_failing();
            BOOST_ERROR(current << ": " << e.what());
            return outcomes;
        }
        const bool has_failed = stop_failing();
        BOOST_CHECK_MESSAGE(outcome != Outcome::wrong, current << ": wrong answer");
        BOOST_CHECK_MESSAGE(has_failed || outcome == Outcome::correct,
                            current << ": no correct answer although nothing failed");
        check_server_works(target);
        if (!has_failed) return outcomes;
        ++outcomes[outcome];
    }
    BOOST_FAIL(kind.name << ": the number of allocations has no end");
    return outcomes;
}

// Returns true if a kind of request is to be tested: if it is named by an argument after `--`, or if there
// are no such arguments.
bool is_selected(const std::string& name) {
    const auto& suite = boost::unit_test::framework::master_test_suite();
    const std::span arguments(suite.argv, static_cast<std::size_t>(suite.argc));
    return arguments.size() < 2 ||
           std::ranges::any_of(arguments.subspan(1), [&](const char* argument) { return argument == name; });
}

// Tests one kind of request, and prints how many requests ended in each way.
void test_kind(const Target& tester, const Target& other, const RequestKind& kind) {
    Bystander bystander(other);
    auto outcomes = fail_each_allocation(tester, kind);
    auto beside = bystander.join();
    const int failed =
        outcomes[Outcome::refused] + outcomes[Outcome::failed_stream] + outcomes[Outcome::broken];
    const int num_failures = failed + outcomes[Outcome::correct];
    const int failed_beside =
        beside[Outcome::refused] + beside[Outcome::failed_stream] + beside[Outcome::broken];
    BOOST_CHECK_MESSAGE(beside[Outcome::wrong] == 0, kind.name << ": a stream beside it lost tokens");
    BOOST_CHECK_MESSAGE(failed + failed_beside <= num_failures,
                        kind.name << ": one failure ended two answers");
    BOOST_CHECK_MESSAGE(outcomes[Outcome::broken] <= kind.max_broken * num_failures,
                        kind.name << ": " << outcomes[Outcome::broken] << " of " << num_failures
                                  << " failed allocations broke the connection");
    check_nothing_is_left(tester, kind.name);
    std::printf("%-42s %11d %8d %5d %12d %7d\n", kind.name.c_str(), num_failures, outcomes[Outcome::correct],
                outcomes[Outcome::refused], outcomes[Outcome::failed_stream], outcomes[Outcome::broken]);
    std::fflush(stdout);
}

void print_crash() {
    std::fprintf(stderr, "the server ended itself at: %s\n", current.c_str());
    std::abort();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(allocation_failure)

BOOST_AUTO_TEST_CASE(failed_allocation_ends_one_answer_and_nothing_else) {
    exempt_this_thread();
    std::set_terminate(print_crash);
    const Keys keys;
    const RunningService service({"--api-key-file", keys.path, "--allowed-origins", "http://a.example"},
                                 fake_options());
    const Target tester{service.port(), keys.tester_secret};
    const Target other{service.port(), keys.bystander_secret};
    Bystander::expected(other);
    std::printf("%-42s %11s %8s %5s %12s %7s\n", "kind", "allocations", "correct", "500", "error event",
                "broken");
    for (const auto& kind : request_kinds(tester)) {
        if (is_selected(kind.name)) test_kind(tester, other, kind);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
