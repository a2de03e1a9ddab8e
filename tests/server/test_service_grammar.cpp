// Tests requests with a grammar against the whole service with a fake model, whose tokens are arbitrary.
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <string>

#include "inference/grammar/compiler.hpp"
#include "tests/support/running_service.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

const std::string schema =
    R"({"type":"object","properties":{"size":{"enum":["small","large"]},"count":{"type":"integer","minimum":0,"maximum":9}},
        "required":["size","count"]})";

HttpAnswer ask(RunningService& service, const std::string& request) {
    Connection connection(service.port());
    connection.send(request);
    return connection.read_answer();
}

json::value answer_to(RunningService& service, const std::string& path, const std::string& body) {
    const auto answer = ask(service, post_request(path, body));
    BOOST_REQUIRE_MESSAGE(answer.status == 200, answer.body);
    return json::parse(answer.body);
}

// Returns the value of a counter in /metrics.
double counter(RunningService& service, const std::string& name) {
    const std::string text = ask(service, get_request("/metrics")).body;
    const auto at = text.find("\nsolard_" + name + "{");
    BOOST_REQUIRE_MESSAGE(at != std::string::npos, name);
    return std::stod(text.substr(text.find("} ", at) + 2));
}

std::string chat(const std::string& fields) {
    return R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":400,)" + fields + "}";
}

void check_shirt(std::string_view text) {
    const json::value value = json::parse(text);
    BOOST_TEST(value.as_object().size() == 2U);
    BOOST_TEST((value.at("size") == "small" || value.at("size") == "large"));
    BOOST_TEST(value.at("count").as_int64() <= 9);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(service_grammar,
                      *boost::unit_test::precondition([](auto) { return can_compile_grammars(); }))

BOOST_AUTO_TEST_CASE(answers_follow_the_schema_on_every_route) {
    RunningService service;
    const std::string format =
        R"("response_format":{"type":"json_schema","json_schema":{"name":"shirt","schema":)" + schema + "}}";
    const auto whole = answer_to(service, "/v1/chat/completions", chat(format + R"(,"n":3,"seed":1)"));
    for (const auto& choice : whole.at("choices").as_array()) {
        check_shirt(choice.at("message").at("content").as_string());
        BOOST_TEST(choice.at("finish_reason") == "stop");
    }
    const auto completion = answer_to(service, "/v1/completions",
                                      R"({"prompt":"hi","max_tokens":400,"guided_json":)" + schema + "}");
    check_shirt(completion.at("choices").at(0).at("text").as_string());
    const auto response = answer_to(
        service, "/v1/responses",
        R"({"input":"hi","text":{"format":{"type":"json_schema","name":"shirt","schema":)" + schema + "}}}");
    check_shirt(response.at("output").at(0).at("content").at(0).at("text").as_string());
    BOOST_TEST(response.at("text").at("format").at("name") == "shirt");
    const auto choice = answer_to(service, "/v1/chat/completions", chat(R"("guided_choice":["yes","no"])"));
    const auto& text = choice.at("choices").at(0).at("message").at("content").as_string();
    BOOST_TEST((text == "yes" || text == "no"), text);
}

BOOST_AUTO_TEST_CASE(answer_that_is_cut_is_a_valid_beginning) {
    RunningService service;
    const auto answer = answer_to(
        service, "/v1/chat/completions",
        R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":5,"guided_json":)" + schema + "}");
    BOOST_TEST(answer.at("choices").at(0).at("finish_reason") == "length");
    const auto& text = answer.at("choices").at(0).at("message").at("content").as_string();
    const std::string_view beginning = R"({"size": ")";
    BOOST_TEST(!text.empty());
    BOOST_TEST((text.starts_with(beginning) || beginning.starts_with(text)), text);
}

BOOST_AUTO_TEST_CASE(grammar_that_cannot_be_used_is_a_400_and_harms_nobody) {
    RunningService service;
    const auto refused =
        ask(service, post_request("/v1/chat/completions",
                                  chat(R"("guided_json":{"type":"string","pattern":"^a$","minLength":2})")));
    BOOST_TEST(refused.status == 400);
    const auto error = json::parse(refused.body).at("error");
    BOOST_TEST(error.at("param") == "guided_json");
    BOOST_TEST(error.at("code") == "invalid_value");
    answer_to(service, "/v1/chat/completions", chat(R"("guided_choice":["a"])"));
}

BOOST_AUTO_TEST_CASE(compiled_grammars_are_kept) {
    RunningService service;
    for (int i = 0; i < 3; ++i)
        answer_to(service, "/v1/chat/completions", chat(R"("guided_choice":["a", "b"])"));
    BOOST_TEST(counter(service, "grammars_compiled_total") == 1);
    BOOST_TEST(counter(service, "grammar_cache_hits_total") == 2);
    BOOST_TEST(counter(service, "grammar_compile_seconds_total") > 0);
}

BOOST_AUTO_TEST_CASE(cache_of_size_0_keeps_nothing) {
    RunningService service({"--grammar-cache-size", "0"});
    for (int i = 0; i < 2; ++i)
        answer_to(service, "/v1/chat/completions", chat(R"("guided_choice":["a", "b"])"));
    BOOST_TEST(counter(service, "grammars_compiled_total") == 2);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
