// Tests of access to the server (API keys, quotas, host names, origins), made with real connections.
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>

#include "tests/support/keys.hpp"
#include "tests/support/running_service.hpp"

namespace solard::server {

namespace {

std::string with_host(std::string request, const std::string& host) {
    return request.replace(request.find("Host: localhost"), 15, "Host: " + host);
}

HttpAnswer ask(RunningService& service, const std::string& request) {
    Connection connection(service.port());
    connection.send(request);
    return connection.read_answer();
}

std::string error_code_of(const HttpAnswer& answer) {
    return std::string(boost::json::parse(answer.body).at("error").at("code").get_string());
}

int cached_tokens_of(const HttpAnswer& answer) {
    const auto usage = boost::json::parse(answer.body).at("usage");
    return usage.at("prompt_tokens_details").at("cached_tokens").to_number<int>();
}

std::string words(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += "word ";
    return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(service_access)

BOOST_AUTO_TEST_CASE(requests_without_a_valid_key_all_get_the_same_refusal) {
    const Keys keys({""});
    RunningService service(keys.flags());
    const std::string& secret = keys.secrets[0];
    for (const char* path : {"/", "/health", "/v1/health/live", "/v1/health/ready"})
        BOOST_TEST(ask(service, get_request(path)).status == 200, path);
    std::string body;
    const auto check_refused = [&](const std::string& request) {
        const auto answer = ask(service, request);
        BOOST_TEST(answer.status == 401, request);
        BOOST_TEST(answer.has("WWW-Authenticate: Bearer\r\n"));
        if (body.empty()) body = answer.body;
        BOOST_TEST(answer.body == body);
    };
    for (const char* path : {"/v1/models", "/v1/models/x", "/v1/metadata", "/v1/version", "/metrics", "/nope",
                             "/v1", "/health/", "/V1/models", "//v1/models", "/%76%31/models"})
        check_refused(get_request(path));
    for (const std::string& field : std::vector<std::string>{
             "Authorization: Bearer x", "Authorization: Bearer",
             "Authorization:", "Authorization: Basic " + secret, "Authorization: " + secret,
             "Authorization: Bearer " + secret + "x", "Authorization: Bearer " + secret.substr(1),
             "Authorization: Bearer " + std::string(10'000, 'x'), "X-Api-Key: " + secret + "x", "api-key: x",
             "Authorization: Bearer x\r\nx-api-key: " + secret, "x-api-key: " + secret + "\r\napi-key: x"})
        check_refused(with_field(get_request("/v1/models"), field));
    for (const std::string name : {"Authorization: Bearer ", "x-api-key: ", "api-key: "}) {
        BOOST_TEST(ask(service, with_field(get_request("/v1/models"), name + secret)).status == 200, name);
        const auto twice = name + secret + "\r\n" + name + secret;
        const auto answer = ask(service, with_field(get_request("/v1/models"), twice));
        BOOST_TEST(answer.status == 400, name);
        BOOST_TEST(answer.body.find("must not repeat") != std::string::npos, name);
    }
    const auto all =
        "Authorization: Bearer " + secret + "\r\nX-API-Key: " + secret + "\r\nApi-Key: " + secret;
    BOOST_TEST(ask(service, with_field(get_request("/v1/models"), all)).status == 200);
    check_refused(get_request("/v1/models?api_key=" + secret));
    // The server refuses the request before it reads the body: this client never sends the body.
    check_refused("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n");
    BOOST_TEST(service.control().steps() == 0);

    BOOST_TEST(ask(service, with_key(get_request("/v1/models"), secret)).status == 200);
    const auto lower = with_field(get_request("/v1/models"), "authorization: bearer " + secret);
    BOOST_TEST(ask(service, lower).status == 200);
    const auto answer = ask(service, with_key(chat_request("a", R"("max_tokens":2)"), secret));
    BOOST_TEST(answer.status == 200);
    BOOST_TEST(answer.body.find(service.reference_text("a", 2)) != std::string::npos);
}

BOOST_AUTO_TEST_CASE(concurrency_limit_of_a_key_counts_only_its_own_requests) {
    const Keys keys({" concurrency=1", ""});
    RunningService service(keys.flags());
    service.control().close_gate();
    const auto request = [&](std::size_t key) {
        return with_key(chat_request("a", R"("max_tokens":2,"stream":true)"), keys.secrets[key]);
    };
    Connection first(service.port());
    first.send(request(0));
    service.control().pass_one();
    first.read_until("data: ");
    const auto refused = ask(service, request(0));
    BOOST_TEST(refused.status == 429);
    BOOST_TEST(error_code_of(refused) == "rate_limit_exceeded");
    BOOST_TEST(refused.has("Retry-After: "));
    BOOST_TEST(refused.has("retry-after-ms: "));
    Connection other(service.port());
    other.send(request(1));
    service.control().open_gate();
    BOOST_TEST(other.read_answer().status == 200);
    BOOST_TEST(first.read_answer().complete);
    BOOST_TEST(ask(service, request(0)).status == 200);
}

BOOST_AUTO_TEST_CASE(key_over_its_tokens_per_minute_is_told_when_to_retry) {
    const Keys keys({" tokens-per-minute=10", ""});
    RunningService service(keys.flags());
    const auto ask_with = [&](std::size_t key) {
        return ask(service, with_key(chat_request("a", R"("max_tokens":5)"), keys.secrets[key]));
    };
    BOOST_TEST(ask_with(0).status == 200);  // is admitted, although the prompt has more than 10 tokens
    const auto refused = ask_with(0);
    BOOST_TEST(refused.status == 429);
    BOOST_TEST(error_code_of(refused) == "rate_limit_exceeded");
    const auto at = refused.head.find("retry-after-ms: ");
    BOOST_REQUIRE(at != std::string::npos);
    const int wait = std::stoi(refused.head.substr(at + 16));
    // The first request used more than one token beyond the limit, and the key gets only one token per six
    // seconds. So the key has to wait for longer than six seconds.
    BOOST_TEST(wait > 6'000);
    BOOST_TEST(wait <= 180'000);
    BOOST_TEST(ask_with(1).status == 200);
}

BOOST_AUTO_TEST_CASE(cached_prefixes_are_shared_only_within_one_key_and_salt) {
    const Keys keys({"", ""});
    RunningService service(keys.flags());
    const auto cached = [&](std::size_t key, const std::string& salt) {
        const std::string fields =
            R"("max_tokens":2)" + (salt.empty() ? "" : R"(,"cache_salt":")" + salt + "\"");
        return cached_tokens_of(ask(service, with_key(chat_request(words(60), fields), keys.secrets[key])));
    };
    BOOST_TEST(cached(0, "") == 0);
    BOOST_TEST(cached(0, "") > 0);
    BOOST_TEST(cached(1, "") == 0);
    BOOST_TEST(cached(1, "") > 0);
    for (const std::string salt : {"a", "b", "aaaaaaaab", "aaaaaaaac"}) {
        BOOST_TEST(cached(0, salt) == 0, salt);
        BOOST_TEST(cached(0, salt) > 0, salt);
        BOOST_TEST(cached(1, salt) == 0, salt);
    }
}

BOOST_AUTO_TEST_CASE(host_names_that_other_sites_could_point_here_are_refused) {
    RunningService service({"--allowed-hosts", "solard.example"});
    for (const char* host : {"localhost", "LOCALHOST:8000", "127.0.0.1:1", "192.168.1.7", "[::1]:8000",
                             "[::1]", "solard.example", "Solard.Example:80"})
        BOOST_TEST(ask(service, with_host(get_request("/health"), host)).status == 200, host);
    for (const char* host :
         {"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "x.solard.example"}) {
        const auto answer = ask(service, with_host(get_request("/health"), host));
        BOOST_TEST(answer.status == 403, host);
        BOOST_TEST(error_code_of(answer) == "host_not_allowed");
    }
}

BOOST_AUTO_TEST_CASE(any_host_name_is_allowed_with_keys_and_without_a_list) {
    const Keys keys({""});
    {
        RunningService service(keys.flags());
        BOOST_TEST(ask(service, with_host(get_request("/health"), "any.example")).status == 200);
    }
    auto flags = keys.flags();
    flags.insert(flags.end(), {"--allowed-hosts", "solard.example"});
    RunningService service(flags);
    BOOST_TEST(ask(service, with_host(get_request("/health"), "any.example")).status == 403);
}

BOOST_AUTO_TEST_CASE(only_listed_origins_get_cors_headers) {
    const std::string ours = "https://chat.example";
    const auto origin = [](const std::string& request, const std::string& value) {
        return with_field(request, "Origin: " + value);
    };
    const std::string preflight =
        "OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
        "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n";
    {
        RunningService service;
        const auto answer = ask(service, origin(get_request("/v1/models"), ours));
        BOOST_TEST(answer.status == 200);
        BOOST_TEST(!answer.has("Access-Control"));
        const auto refused = ask(service, origin(preflight, ours));
        BOOST_TEST(refused.status == 405);
        BOOST_TEST(!refused.has("Access-Control"));
    }
    const Keys keys({""});
    auto flags = keys.flags();
    flags.insert(flags.end(), {"--allowed-origins", ours});
    RunningService service(flags);
    const auto allowed = ask(service, origin(preflight, ours));
    BOOST_TEST(allowed.status == 204);
    BOOST_TEST(allowed.has("Access-Control-Allow-Origin: " + ours + "\r\n"));
    BOOST_TEST(allowed.has("Access-Control-Allow-Headers: *, Authorization, x-api-key, api-key\r\n"));
    BOOST_TEST(allowed.has("Vary: Origin\r\n"));
    const auto answer = ask(service, origin(with_key(get_request("/v1/models"), keys.secrets[0]), ours));
    BOOST_TEST(answer.has("Access-Control-Allow-Origin: " + ours + "\r\n"));
    BOOST_TEST(!answer.has("Access-Control-Allow-Credentials"));
    // A refused request gets Access-Control-Allow-Origin too. Otherwise a web page could not read the error.
    BOOST_TEST(
        ask(service, origin(get_request("/v1/models"), ours)).has("Access-Control-Allow-Origin: " + ours));
    for (const std::string other :
         {"https://chat.example.evil", "http://chat.example", "null", "https://chat.example:444"}) {
        const auto refused = ask(service, origin(preflight, other));
        BOOST_TEST(!refused.has("Access-Control"), other);
        BOOST_TEST(refused.has("Vary: Origin\r\n"));
    }
}

BOOST_AUTO_TEST_CASE(strict_params_refuses_unknown_fields) {
    RunningService service({"--strict-params"});
    const auto refused = ask(service, chat_request("a", R"("temprature":1)"));
    BOOST_TEST(refused.status == 400);
    BOOST_TEST(boost::json::parse(refused.body).at("error").at("param") == "temprature");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
