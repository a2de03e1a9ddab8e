// Tests, with real connections, that a response has a limited number of followers.
#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>
#include <deque>
#include <string>

#include "server/responses/response_service.hpp"
#include "tests/support/running_service.hpp"
#include "tests/support/ws_client.hpp"

namespace solard::server {
namespace {

// A running response which cannot end, with the maximum number of followers. The first follower is the client
// which created the response.
struct Followed {
    Followed() {
        service.control().close_gate();
        followers.emplace_back(service.port()).send(create_request());
        const std::string created = followers.back().read_until("response.created");
        const auto begin = created.find("resp_");
        id = created.substr(begin, created.find('"', begin) - begin);
        while (followers.size() < max_followers) {
            followers.emplace_back(service.port()).send(follow_request());
            followers.back().read_until("response.created");
        }
    }
    static std::string create_request() {
        const std::string body =
            R"({"input":"hi","max_output_tokens":2,"stream":true,"solar":{"idempotency_key":"same"}})";
        return "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
               "Content-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    std::string follow_request() const { return get_request("/v1/responses/" + id + "?stream=true"); }
    HttpAnswer ask(const std::string& request) {
        Connection connection(service.port());
        connection.send(request);
        return connection.read_answer();
    }

    RunningService service;
    std::deque<Connection> followers;
    std::string id;
};

void check_refused(const boost::json::value& error) {
    BOOST_TEST(error.at("code") == "rate_limit_exceeded");
    const std::string_view message = error.at("message").as_string();
    BOOST_TEST(message.find("16 readers, which is the limit") != std::string_view::npos);
}

void check_refused(const HttpAnswer& answer) {
    BOOST_TEST(answer.status == 429);
    BOOST_TEST(answer.has("Retry-After: "));
    check_refused(boost::json::parse(answer.body).at("error"));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(followers)

BOOST_AUTO_TEST_CASE(follower_beyond_the_limit_is_refused_however_it_comes) {
    Followed followed;
    check_refused(followed.ask(followed.follow_request()));
    check_refused(followed.ask(Followed::create_request()));
    WsClient socket(followed.service.port(), {"Sec-WebSocket-Protocol: solar.responses.v1"});
    socket.send(R"({"type":"solar:attach","starting_after":-1,"response_id":")" + followed.id + R"("})");
    check_refused(socket.read_until("error").back());
    // The response itself can still be read.
    BOOST_TEST(followed.ask(get_request("/v1/responses/" + followed.id)).status == 200);
}

BOOST_AUTO_TEST_CASE(place_of_a_follower_which_left_is_free_again) {
    Followed followed;
    check_refused(followed.ask(followed.follow_request()));
    followed.followers.pop_back();
    constexpr int max_tries = 1'000;
    bool is_accepted = false;
    for (int tries = 0; tries < max_tries && !is_accepted; ++tries) {
        Connection connection(followed.service.port());
        connection.send(followed.follow_request());
        is_accepted = connection.read_until("\r\n").starts_with("HTTP/1.1 200 ");
    }
    BOOST_TEST(is_accepted);
}

BOOST_AUTO_TEST_CASE(followers_at_the_limit_get_the_whole_response) {
    Followed followed;
    followed.service.control().open_gate();
    for (Connection& follower : followed.followers) {
        const auto answer = follower.read_answer();
        BOOST_TEST(answer.status == 200);
        BOOST_TEST(answer.body.find("response.incomplete") != std::string::npos);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
