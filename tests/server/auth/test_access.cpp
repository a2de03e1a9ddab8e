#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/auth/api_keys.hpp"
#include "server/auth/keygen.hpp"
#include "server/auth/quota.hpp"
#include "server/generation/drain_rate.hpp"

namespace solard::server {
using namespace std::chrono_literals;

namespace {

// A file of its own in the build folder, owner-only.
struct KeyFile {
    explicit KeyFile(const std::string& text = {}) {
        std::string pattern = SOLARD_TEST_BUILD_DIR "/keys-XXXXXX";
        close(mkstemp(pattern.data()));
        path = pattern;
        std::ofstream(path) << text;
    }
    ~KeyFile() { std::filesystem::remove(path); }
    std::string message() const { return ApiKeys::load(path).error().message.substr(path.size()); }
    std::string path;
};

const std::string digest_of_abc =  // FIPS 180-2, appendix B.1
    "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

}  // namespace

BOOST_AUTO_TEST_SUITE(api_access)

BOOST_AUTO_TEST_CASE(a_key_is_found_by_its_hash) {
    const KeyFile file("# comment\n\nalice " + digest_of_abc +
                       " concurrency=3 tokens-per-minute=500 # two\n");
    const auto keys = ApiKeys::load(file.path);
    BOOST_REQUIRE(keys);
    BOOST_REQUIRE(keys->all().size() == 1);
    BOOST_TEST(keys->all()[0].name == "alice");
    BOOST_TEST(keys->all()[0].concurrency == 3);
    BOOST_TEST(keys->all()[0].tokens_per_minute == 500);
    BOOST_TEST((keys->find("abc") == 0U));
    for (const char* wrong : {"", "abd", "abcd", "ab", "ABC"})
        BOOST_TEST(!keys->find(wrong).has_value(), wrong);
}

BOOST_AUTO_TEST_CASE(a_bad_key_file_is_refused_by_line_without_showing_what_stands_there) {
    const std::string line = "alice " + digest_of_abc;
    for (const auto& [text, where] : {std::pair<std::string, std::string>{"sk-secret", ":1: "},
                                      {"\nalice md5:00", ":2: "},
                                      {"alice sha256:00", ":1: "},
                                      {line + "0", ":1: "},
                                      {line + " concurrency=0", ":1: "},
                                      {line + " concurrency=x", ":1: "},
                                      {line + " speed=1", ":1: "},
                                      {line + "\n" + line, ":2: "},
                                      {line + "\nbob " + digest_of_abc, ":2: "},
                                      {"a/b " + digest_of_abc, ":1: "},
                                      {"# nothing\n", ": holds no key"}}) {
        const KeyFile file(text);
        const std::string message = file.message();
        BOOST_TEST(message.starts_with(where), text << " gave " << message);
        BOOST_TEST(message.find("secret") == std::string::npos);
    }
    BOOST_TEST((ApiKeys::load("/nonexistent").error().code == errc::bad_configuration));
}

BOOST_AUTO_TEST_CASE(a_key_file_is_its_owners_alone) {
    const KeyFile file("alice " + digest_of_abc);
    for (const mode_t mode : {0640, 0604, 0660, 0602, 0610}) {
        chmod(file.path.c_str(), mode);
        BOOST_TEST(file.message().find("chmod 600") != std::string::npos);
    }
    chmod(file.path.c_str(), 0400);
    BOOST_TEST(ApiKeys::load(file.path).has_value());
}

BOOST_AUTO_TEST_CASE(systemds_copy_of_a_key_file_shows_the_mask_of_its_acl) {
    const KeyFile file("alice " + digest_of_abc);
    const auto folder = std::filesystem::path(file.path).parent_path();
    const auto accepts = [&](const std::string& credentials, mode_t mode) {
        setenv("CREDENTIALS_DIRECTORY", credentials.c_str(), 1);
        chmod(file.path.c_str(), mode);
        const bool accepted = ApiKeys::load(file.path).has_value();
        unsetenv("CREDENTIALS_DIRECTORY");
        return accepted;
    };
    BOOST_TEST(accepts(folder, 0440));
    for (const mode_t mode : {0444, 0460, 0450}) BOOST_TEST(!accepts(folder, mode));
    BOOST_TEST(!accepts(folder.parent_path(), 0440));
}

BOOST_AUTO_TEST_CASE(keygen_appends_a_hash_and_shows_the_key_once) {
    const KeyFile file;
    std::filesystem::remove(file.path);
    std::ostringstream first;
    std::ostringstream second;
    std::ostringstream errors;
    BOOST_TEST(run_keygen({"--name", "a", "--api-key-file", file.path}, first, errors) == 0);
    BOOST_TEST(run_keygen({"--api-key-file", file.path, "--name", "b"}, second, errors) == 0);
    BOOST_TEST(errors.str().empty());
    BOOST_TEST(first.str() != second.str());
    const auto keys = ApiKeys::load(file.path);  // also: its mode is right
    BOOST_REQUIRE(keys);
    const auto secret = [](const std::ostringstream& out) {
        return out.str().substr(0, out.str().size() - 1);
    };
    BOOST_TEST((keys->find(secret(first)) == 0U));
    BOOST_TEST((keys->find(secret(second)) == 1U));
    std::ostringstream text;
    text << std::ifstream(file.path).rdbuf();
    BOOST_TEST(text.str().find(secret(first)) == std::string::npos);
    for (const std::vector<std::string>& wrong :
         std::vector<std::vector<std::string>>{{"--name"}, {"--nam", "x"}, {"--name", "a b"}, {"x"}})
        BOOST_TEST(run_keygen(wrong, first, errors) == 2);
    BOOST_TEST(run_keygen({"--api-key-file", "/nonexistent/keys"}, first, errors) == 1);
}

BOOST_AUTO_TEST_CASE(a_key_has_so_many_requests_at_once) {
    Quota quota(2, 0);
    const Quota::Clock::time_point now{};
    auto first = quota.admit(now);
    {
        const auto second = quota.admit(now);
        BOOST_TEST(second.has_value());
        BOOST_TEST((quota.admit(now).error().code == errc::rate_limit_exceeded));
    }
    const auto third = quota.admit(now);
    BOOST_TEST(third.has_value());
    const Quota::Ticket moved = *std::move(first);
    BOOST_TEST(!quota.admit(now).has_value());
}

BOOST_AUTO_TEST_CASE(a_key_that_used_its_minutes_tokens_waits_until_they_are_paid_back) {
    Quota quota(0, 600);  // ten a second
    Quota::Clock::time_point now{1h};
    quota.admit(now)->charge(600);
    const auto refusal = quota.admit(now);
    BOOST_REQUIRE(!refusal);
    BOOST_TEST((refusal.error().code == errc::rate_limit_exceeded));
    BOOST_TEST((refusal.error().retry_after == 100ms));
    BOOST_TEST(!quota.admit(now).has_value());
    now += refusal.error().retry_after;
    quota.admit(now)->charge(301);
    const auto in_debt = quota.admit(now).error().retry_after;
    BOOST_TEST((in_debt == 30'100ms || in_debt == 30'101ms));
    // What is not used does not pile up.
    now += 1h;
    quota.admit(now)->charge(601);
    BOOST_TEST(!quota.admit(now).has_value());
}

BOOST_AUTO_TEST_CASE(a_key_without_limits_is_never_refused) {
    Quota quota(0, 0);
    std::vector<Quota::Ticket> tickets;
    for (int i = 0; i < 1000; ++i) {
        tickets.push_back(quota.admit({}).value());
        tickets.back().charge(1'000'000);
    }
}

BOOST_AUTO_TEST_CASE(when_to_come_back_follows_from_how_fast_answers_end) {
    DrainRate rate;
    DrainRate::Clock::time_point now{1h};
    BOOST_TEST((rate.time_for(1, now) == 1000ms));
    for (int i = 0; i < 100; ++i) rate.add_end(now += 500ms);
    BOOST_TEST((rate.time_for(1, now) >= 450ms && rate.time_for(1, now) <= 500ms));
    BOOST_TEST((rate.time_for(4, now) >= 1900ms && rate.time_for(4, now) <= 2000ms));
    // Nothing ends any more: the estimate grows, up to its bound.
    BOOST_TEST((rate.time_for(1, now + 160s) >= 5s));
    BOOST_TEST((rate.time_for(1, now + 24h) == 30s));
    for (int i = 0; i < 100; ++i) rate.add_end(now += 1ms);
    BOOST_TEST((rate.time_for(1, now) == 100ms));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
