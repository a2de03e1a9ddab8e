#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/auth/api_keys.hpp"
#include "server/auth/keygen.hpp"

namespace solard::server {
namespace {

// A file of API keys in the build folder. Only the user who owns the file can access it.
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

BOOST_AUTO_TEST_SUITE(api_keys)

BOOST_AUTO_TEST_CASE(key_is_found_by_its_hash) {
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

BOOST_AUTO_TEST_CASE(invalid_key_file_is_refused_with_the_line_number_but_without_its_text) {
    const std::string line = "alice " + digest_of_abc;
    for (const auto& [text, where] :
         {std::pair<std::string, std::string>{"sk-secret", ":1: "},
          {"\nalice md5:00", ":2: "},
          {"alice sha256:00", ":1: "},
          {line + "0", ":1: "},
          {line + " concurrency=0", ":1: "},
          {line + " concurrency=x", ":1: "},
          {line + " speed=1", ":1: "},
          {line + "\n" + line, ":2: an earlier line of the file has the same name"},
          {line + "\nbob " + digest_of_abc, ":2: an earlier line of the file has the same key"},
          {line + "\n\xC3\xA9\xFF", ":2:2: found the byte 0xff"},
          {"a/b " + digest_of_abc, ":1: "},
          {"# nothing\n", ": the API key file contains no key"}}) {
        const KeyFile file(text);
        const std::string message = file.message();
        BOOST_TEST(message.starts_with(where), text << ": " << message);
        BOOST_TEST(message.find("secret") == std::string::npos);
    }
    BOOST_TEST((ApiKeys::load("/nonexistent").error().code == errc::bad_configuration));
}

BOOST_AUTO_TEST_CASE(one_key_can_be_added_to_those_of_the_file) {
    ApiKeys none;
    BOOST_TEST(none.add("api-key", "abc").has_value());
    BOOST_TEST((none.find("abc") == 0U));
    BOOST_TEST(none.all()[0].name == "api-key");
    const KeyFile file("alice " + digest_of_abc);
    auto keys = ApiKeys::load(file.path).value();
    BOOST_TEST((keys.add("api-key", "abc").error().code == errc::bad_configuration));
    BOOST_TEST((keys.add("alice", "other").error().code == errc::bad_configuration));
    BOOST_TEST(keys.add("api-key", "other").has_value());
    BOOST_TEST((keys.find("other") == 1U));
}

BOOST_AUTO_TEST_CASE(key_file_that_others_can_access_is_refused) {
    const KeyFile file("alice " + digest_of_abc);
    for (const mode_t mode : {0640, 0604, 0660, 0602, 0610}) {
        chmod(file.path.c_str(), mode);
        BOOST_TEST(file.message().find("chmod 600") != std::string::npos);
    }
    chmod(file.path.c_str(), 0400);
    BOOST_TEST(ApiKeys::load(file.path).has_value());
}

BOOST_AUTO_TEST_CASE(copy_of_the_key_file_made_by_systemd_may_show_the_mask_of_an_acl) {
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

BOOST_AUTO_TEST_CASE(keygen_prints_the_key_and_appends_only_its_hash) {
    const KeyFile file;
    std::filesystem::remove(file.path);
    std::ostringstream first;
    std::ostringstream second;
    std::ostringstream errors;
    BOOST_TEST(run_keygen({"--name", "a", "--api-key-file", file.path}, first, errors) == 0);
    BOOST_TEST(run_keygen({"--api-key-file", file.path, "--name", "b"}, second, errors) == 0);
    BOOST_TEST(errors.str().empty());
    BOOST_TEST(first.str() != second.str());
    const auto keys = ApiKeys::load(file.path);  // this would fail if other users could read the file
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

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
