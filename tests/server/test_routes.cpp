#include "server/routes.hpp"

#include <boost/test/unit_test.hpp>

namespace solard::server {
namespace {

RouteMatch match_of(std::string method, std::string path) {
    HttpRequest head;
    head.method = std::move(method);
    head.path = std::move(path);
    return find_route(head);
}

BOOST_AUTO_TEST_SUITE(routes)

BOOST_AUTO_TEST_CASE(path_and_verb_choose_the_route) {
    BOOST_REQUIRE(match_of("POST", "/v1/chat/completions").route != nullptr);
    BOOST_TEST(match_of("POST", "/v1/chat/completions").route->path == "/v1/chat/completions");
    BOOST_TEST(match_of("GET", "/v1/models/a/b").route->path == "/v1/models/*");
    BOOST_TEST(match_of("GET", "/v1/responses/resp_1").route->path == "/v1/responses/*");
    BOOST_TEST(match_of("POST", "/v1/responses/resp_1/cancel").route->path == "/v1/responses/*/cancel");
    BOOST_TEST(match_of("POST", "/v1/responses/input_tokens").route->path == "/v1/responses/input_tokens");
}

BOOST_AUTO_TEST_CASE(head_is_answered_by_the_route_of_get) {
    BOOST_TEST(match_of("HEAD", "/health").route == match_of("GET", "/health").route);
    BOOST_TEST((match_of("HEAD", "/v1/completions").route == nullptr));
}

BOOST_AUTO_TEST_CASE(other_verbs_of_a_path_are_named) {
    BOOST_TEST(match_of("GET", "/v1/completions").allowed == "POST");
    BOOST_TEST(match_of("DELETE", "/v1/responses").allowed == "POST, GET, HEAD");
    BOOST_TEST(match_of("PUT", "/v1/responses/resp_1").allowed == "GET, HEAD, DELETE");
    BOOST_TEST(match_of("GET", "/v1/completions/x").allowed.empty());
    BOOST_TEST(match_of("POST", "/v1/completions").allowed.empty());
}

BOOST_AUTO_TEST_CASE(key_is_needed_unless_the_route_says_otherwise) {
    for (const char* path : {"/", "/assets/x.js", "/health", "/v1/health/live", "/v1/health/ready"})
        BOOST_TEST((match_of("GET", path).access == Access::anyone), path);
    for (const char* path : {"/v1/models", "/metrics", "/openapi.json", "/v1/responses", "/nowhere"})
        BOOST_TEST((match_of("GET", path).access == Access::api_key), path);
    // The path alone decides which access a request needs, even if the path does not support the method. An
    // exception is OPTIONS: it needs no key, because browsers send CORS preflight requests without a key.
    BOOST_TEST((match_of("POST", "/health").access == Access::anyone));
    BOOST_TEST((match_of("GET", "/v1/completions").access == Access::api_key));
    BOOST_TEST((match_of("OPTIONS", "/v1/completions").access == Access::anyone));
}

BOOST_AUTO_TEST_CASE(only_the_websocket_route_is_upgraded) {
    HttpRequest head;
    head.method = "GET";
    head.path = "/v1/responses";
    BOOST_TEST((upgrade_fields(find_route(head), head) == nullptr));
    head.websocket = WebSocketFields{};
    BOOST_TEST((upgrade_fields(find_route(head), head) == &*head.websocket));
    head.path = "/v1/models";
    BOOST_TEST((upgrade_fields(find_route(head), head) == nullptr));
    head.path = "/nowhere";
    BOOST_TEST((upgrade_fields(find_route(head), head) == nullptr));
}

BOOST_AUTO_TEST_CASE(only_health_routes_are_answered_at_the_connection_limit) {
    for (const char* path : {"/health", "/v1/health/live", "/v1/health/ready"})
        BOOST_TEST((match_of("GET", path).route->at_limit == AtLimit::answered), path);
    for (const char* path : {"/", "/metrics", "/v1/models", "/v1/responses"})
        BOOST_TEST((match_of("GET", path).route->at_limit == AtLimit::refused), path);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::server
