// Tests which upgrade requests open a WebSocket, and how all other upgrade requests are refused.
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "server/auth/api_keys.hpp"
#include "server/ws/handshake.hpp"
#include "tests/support/keys.hpp"
#include "tests/support/ws_client.hpp"

namespace solard::server {
namespace {

struct KeyFile {
    explicit KeyFile(const std::string& limits = {}) {
        std::string pattern = SOLARD_TEST_BUILD_DIR "/keys-XXXXXX";
        close(mkstemp(pattern.data()));
        path = pattern;
        const auto key = make_api_key("tester");
        std::ofstream(path) << key.line << limits << '\n';
        secret = key.secret;
    }
    ~KeyFile() { std::filesystem::remove(path); }
    std::string path;
    std::string secret;
};

HttpAnswer ask(RunningService& service, const std::string& request) {
    Connection connection(service.port());
    connection.send(request);
    return connection.read_answer();
}

// Returns "101", or the status and the code of the refusal.
std::string answer_to(RunningService& service, const std::string& request) {
    Connection connection(service.port());
    connection.send(request);
    const std::string head = connection.read_until("\r\n\r\n");
    if (head.starts_with("HTTP/1.1 101")) return "101";
    const auto answer = connection.read_answer();
    return std::to_string(answer.status) + " " +
           std::string(boost::json::parse(answer.body).at("error").at("code").as_string());
}

std::string replaced(std::string text, std::string_view what, std::string_view with) {
    return text.replace(text.find(what), what.size(), with);
}

const std::string secret_entry = "openai-insecure-api-key.";

}  // namespace

BOOST_AUTO_TEST_SUITE(ws_handshake)

BOOST_AUTO_TEST_CASE(first_known_subprotocol_is_selected_and_never_a_credential) {
    BOOST_TEST(select_subprotocol("").empty());
    BOOST_TEST(select_subprotocol("chat, " + secret_entry + "k").empty());
    BOOST_TEST(select_subprotocol("chat , solar.responses.v1") == "solar.responses.v1");
    BOOST_TEST(select_subprotocol("openai-beta.responses-v1,solar.responses.v1") ==
               "openai-beta.responses-v1");
    BOOST_TEST(select_subprotocol(secret_entry + "k,openai-beta.responses.v1") == "openai-beta.responses.v1");
    BOOST_TEST(select_subprotocol("Solar.Responses.v1").empty());
    BOOST_TEST((offered_secrets("a, " + secret_entry + "k-1_2 ,b," + secret_entry + "x") ==
                std::vector<std::string>{"k-1_2", "x"}));
    BOOST_TEST(offered_secrets("a,b," + secret_entry).empty());
}

BOOST_AUTO_TEST_CASE(request_that_is_no_websocket_upgrade_is_answered_with_426) {
    RunningService service;
    for (const auto& request : {get_request("/v1/responses"),
                                replaced(upgrade_request(), "Connection: keep-alive, Upgrade\r\n", ""),
                                replaced(upgrade_request(), "Upgrade: websocket", "Upgrade: h2c"),
                                replaced(upgrade_request(), "Version: 13", "Version: 8")}) {
        const auto answer = ask(service, request);
        BOOST_TEST(answer.status == 426);
        BOOST_TEST(answer.has("Upgrade: websocket"));
        BOOST_TEST(answer.has("Sec-WebSocket-Version: 13"));
        BOOST_TEST(boost::json::parse(answer.body).at("error").at("code") == "upgrade_required");
    }
    BOOST_TEST(answer_to(service, replaced(upgrade_request(), "dGhlIHNhbXBsZSBub25jZQ==", "short")) ==
               "400 invalid_value");
    BOOST_TEST(answer_to(service, upgrade_request({"Content-Length: 1"}) + "x") == "400 invalid_value");
    BOOST_TEST(answer_to(service, upgrade_request() + "\x81\x80") == "400 invalid_value");
    BOOST_TEST(ask(service, replaced(upgrade_request(), "/v1/responses", "/v1/models")).status == 200);
    BOOST_TEST(answer_to(service, upgrade_request()) == "101");
}

BOOST_AUTO_TEST_CASE(subprotocol_that_was_not_offered_is_not_selected_and_compression_is_not_negotiated) {
    RunningService service;
    const auto head = [&](const std::vector<std::string>& fields) {
        Connection connection(service.port());
        connection.send(upgrade_request(fields));
        return connection.read_until("\r\n\r\n");
    };
    const auto plain = head({"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"});
    BOOST_TEST(plain.find("Sec-WebSocket-Protocol") == std::string::npos);
    BOOST_TEST(plain.find("Extensions") == std::string::npos);
    BOOST_TEST(plain.find("Beast") == std::string::npos);
    BOOST_TEST(plain.find("x-request-id: req_") != std::string::npos);
    const auto selected =
        head({"Sec-WebSocket-Protocol: " + secret_entry + "k", "Sec-WebSocket-Protocol: solar.responses.v1"});
    BOOST_TEST(selected.find("Sec-WebSocket-Protocol: solar.responses.v1\r\n") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(page_of_another_origin_or_host_may_connect_only_if_it_is_allowed) {
    RunningService service(
        {"--allowed-origins", "https://chat.example.com", "--allowed-hosts", "solard.example"});
    const auto from = [&](const std::string& origin, const std::string& host = "localhost") {
        return answer_to(
            service, replaced(upgrade_request({"Origin: " + origin}), "Host: localhost", "Host: " + host));
    };
    BOOST_TEST(from("http://localhost") == "101");
    BOOST_TEST(from("https://localhost") == "101");  // the server may be behind TLS
    BOOST_TEST(from("http://localhost:80", "localhost:80") == "101");
    BOOST_TEST(from("https://chat.example.com") == "101");
    for (const auto* origin :
         {"http://evil.example", "null", "http://localhost:81", "https://chat.example.com:8443",
          "http://localhost.evil.example", "HTTP://LOCALHOST/"})
        BOOST_TEST(from(origin) == "403 origin_not_allowed", origin);
    BOOST_TEST(from("http://solard.example", "solard.example") == "101");
    BOOST_TEST(from("http://evil.example", "evil.example") == "403 host_not_allowed");
    BOOST_TEST(answer_to(service, upgrade_request({"Origin: http://localhost",
                                                   "Origin: http://evil.example"})) == "400 invalid_value");
    BOOST_TEST(answer_to(service, upgrade_request({"Host: localhost"})) == "400 invalid_value");
}

BOOST_AUTO_TEST_CASE(star_allows_every_origin_except_null) {
    RunningService service({"--allowed-origins", "*"});
    BOOST_TEST(answer_to(service, upgrade_request({"Origin: http://any.example"})) == "101");
    BOOST_TEST(answer_to(service, upgrade_request({"Origin: null"})) == "403 origin_not_allowed");
}

BOOST_AUTO_TEST_CASE(key_is_accepted_in_the_header_as_a_subprotocol_or_as_a_ticket) {
    const KeyFile keys;
    RunningService service({"--api-key-file", keys.path});
    const auto with = [&](const std::string& field) { return answer_to(service, upgrade_request({field})); };
    const std::string offer = "Sec-WebSocket-Protocol: solar.responses.v1, " + secret_entry;
    BOOST_TEST(answer_to(service, upgrade_request()) == "401 invalid_api_key");
    BOOST_TEST(with("Authorization: Bearer wrong") == "401 invalid_api_key");
    BOOST_TEST(with("Authorization: Bearer " + keys.secret) == "101");
    BOOST_TEST(with("Cookie: key=" + keys.secret) == "401 invalid_api_key");
    BOOST_TEST(answer_to(service, replaced(upgrade_request(), "/responses",
                                           "/responses?api_key=" + keys.secret)) == "401 invalid_api_key");
    BOOST_TEST(with(offer + "wrong") == "401 invalid_api_key");
    BOOST_TEST(with(offer + keys.secret) == "101");
    BOOST_TEST(
        ask(service, "POST /v1/ws_tickets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").status ==
        401);
    const auto answer = ask(service,
                            "POST /v1/ws_tickets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                            "Authorization: Bearer " +
                                keys.secret + "\r\n\r\n");
    BOOST_REQUIRE(answer.status == 200);
    const auto body = boost::json::parse(answer.body);
    BOOST_TEST(body.at("expires_in") == 30);
    const std::string ticket(body.at("ticket").as_string());
    BOOST_TEST(with("Authorization: Bearer " + ticket) ==
               "401 invalid_api_key");  // a ticket is not valid in the header Authorization
    BOOST_TEST(answer_to(service, replaced(upgrade_request({offer + ticket}), "Version: 13", "Version: 8")) ==
               "426 upgrade_required");  // after this refusal, the ticket must still be valid
    BOOST_TEST(with(offer + ticket) == "101");
    BOOST_TEST(with(offer + ticket) == "401 invalid_api_key");
    // Host and Origin are checked before the key.
    BOOST_TEST(answer_to(service, upgrade_request({"Origin: http://evil.example"})) ==
               "403 origin_not_allowed");
}

BOOST_AUTO_TEST_CASE(all_keys_of_an_upgrade_request_must_be_the_same_key) {
    const Keys keys({"", ""});
    RunningService service(keys.flags());
    const auto with = [&](const std::vector<std::string>& fields) {
        return answer_to(service, upgrade_request(fields));
    };
    const std::string& key = keys.secrets[0];
    const std::string& other = keys.secrets[1];
    const std::string offer = "Sec-WebSocket-Protocol: solar.responses.v1, " + secret_entry;
    for (const std::string name : {"Authorization: Bearer ", "x-api-key: ", "api-key: "}) {
        BOOST_TEST(with({name + key}) == "101", name);
        BOOST_TEST(with({name + key, offer + key}) == "101", name);
        BOOST_TEST(with({name + key, offer}) == "101", name);  // the subprotocol has no key
        BOOST_TEST(with({name + key, offer + other}) == "401 invalid_api_key", name);
        BOOST_TEST(with({name + other, offer + key}) == "401 invalid_api_key", name);
        BOOST_TEST(with({name + "wrong", offer + key}) == "401 invalid_api_key", name);
        BOOST_TEST(with({name + key, offer + "wrong"}) == "401 invalid_api_key", name);
        BOOST_TEST(with({name + key, name + key}) == "400 invalid_value", name);
        BOOST_TEST(with({name + key, name + key, offer + key}) == "400 invalid_value", name);
    }
    BOOST_TEST(with({"Authorization: Bearer " + key, "x-api-key: " + key, "api-key: " + key, offer + key}) ==
               "101");
    BOOST_TEST(with({offer + key + ", " + secret_entry + key}) == "101");
    BOOST_TEST(with({offer + key + ", " + secret_entry + other}) == "401 invalid_api_key");
    BOOST_TEST(with({offer + key, "Sec-WebSocket-Protocol: " + secret_entry + other}) ==
               "401 invalid_api_key");
    const auto ticket_answer =
        ask(service,
            with_key("POST /v1/ws_tickets HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", key));
    const std::string ticket(boost::json::parse(ticket_answer.body).at("ticket").as_string());
    BOOST_TEST(with({"x-api-key: " + other, offer + ticket}) == "401 invalid_api_key");
    BOOST_TEST(with({"x-api-key: " + key, offer + ticket}) == "101");
}

BOOST_AUTO_TEST_CASE(key_at_its_limit_of_websockets_may_open_another_once_one_has_closed) {
    const KeyFile keys;
    RunningService service({"--api-key-file", keys.path, "--ws-max-per-key", "2"});
    const std::vector<std::string> fields{"Authorization: Bearer " + keys.secret};
    WsClient first(service.port(), fields);
    {
        WsClient second(service.port(), fields);
        Connection third(service.port());
        third.send(upgrade_request(fields));
        const auto answer = third.read_answer();
        BOOST_TEST(answer.status == 429);
        BOOST_TEST(answer.has("Retry-After: "));
        second.send_frame(WsFrame::close, "\x03\xe8");
        BOOST_TEST(second.read_close() == 1000);
    }
    // The server frees the place of the second socket a little later, when it notices that the connection has
    // ended.
    for (std::string answer; answer != "101";) answer = answer_to(service, upgrade_request(fields));
}

BOOST_AUTO_TEST_CASE(
    key_with_a_concurrency_of_one_may_send_its_next_message_before_the_last_response_has_ended) {
    const KeyFile keys(" concurrency=1");
    RunningService service({"--api-key-file", keys.path});
    WsClient client(service.port(), {"Authorization: Bearer " + keys.secret});
    for (int i = 0; i < 3; ++i) client.send(create_message(R"("max_output_tokens":3)"));
    for (int i = 0; i < 3; ++i) {
        auto event = client.read();
        while (!is_terminal(event) && type_of(event) != "error") event = client.read();
        BOOST_TEST(type_of(event) == "response.incomplete");
    }
    // Lanes run concurrently, so a request on a second lane exceeds the key's limit of one running request.
    service.control().close_gate();
    client.send(create_message(R"("max_output_tokens":3)"));
    client.send(create_message(R"("max_output_tokens":3,"stream_id":"b")"));
    const auto error = client.read_until("error").back();
    BOOST_TEST(error.at("code") == "rate_limit_exceeded");
    BOOST_TEST(error.at("stream_id") == "b");
    BOOST_TEST(error.at("error").at("headers").at("retry-after").as_string().size() >= 1U);
}

BOOST_AUTO_TEST_CASE(connection_over_the_limit_is_refused_with_503) {
    RunningService service({"--max-connections", "2"});
    service.control().close_gate();
    WsClient first(service.port());
    WsClient second(service.port());
    // Both sockets need a running response, because the server closes an idle socket to make room for a new
    // connection.
    for (WsClient* client : {&first, &second}) {
        client->send(create_message());
        client->read_until("response.created");
    }
    BOOST_TEST(answer_to(service, upgrade_request({"Origin: http://evil.example"})) ==
               "403 origin_not_allowed");
    for (const auto& request : {upgrade_request(), get_request("/v1/models")}) {
        const auto answer = ask(service, request);
        BOOST_TEST(answer.status == 503);
        BOOST_TEST(answer.has("Retry-After: "));
        BOOST_TEST(boost::json::parse(answer.body).at("error").at("code") == "server_overloaded");
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
