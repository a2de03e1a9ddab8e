#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>
#include <limits>

#include "server/api/chat_completions.hpp"
#include "server/api/error.hpp"
#include "server/api/fields.hpp"
#include "server/api/json.hpp"

using namespace solard;

namespace {

// A valid body with more fields: body(R"("seed":1)").
std::string body(const std::string& fields = "") {
    return R"({"messages":[{"role":"user","content":"hi"}])" + (fields.empty() ? "" : "," + fields) + "}";
}

ChatRequest parsed(const std::string& text) {
    auto request = parse_chat_request(text);
    BOOST_REQUIRE_MESSAGE(request, text << ": " << (request ? "" : request.error().message));
    return *std::move(request);
}

void refused(const std::string& text, errc code, std::string_view param) {
    const auto request = parse_chat_request(text);
    BOOST_REQUIRE_MESSAGE(!request, text << " was accepted");
    BOOST_TEST((request.error().code == code), text << ": " << request.error().message);
    BOOST_TEST(request.error().param == param, text);
    BOOST_TEST(!request.error().message.empty());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(chat_api)

BOOST_AUTO_TEST_CASE(a_full_request_is_understood) {
    const auto request = parsed(
        R"({"model":"m","messages":[{"role":"system","content":"s"},{"role":"developer","content":"d"},
            {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
            {"role":"assistant","content":"x"}],
            "max_tokens":7,"temperature":0.5,"top_p":0.25,"seed":-1,"stop":["a","b"],"stream":true,
            "stream_options":{"include_usage":true},"user":"me","metadata":{"a":"b"},"store":true})");
    BOOST_TEST(request.model == "m");
    BOOST_REQUIRE(request.messages.size() == 4);
    BOOST_TEST((request.messages[1].role == Role::system));
    BOOST_TEST(request.messages[2].content == "ab");
    BOOST_TEST((request.messages[3].role == Role::assistant));
    BOOST_TEST(*request.max_tokens == 7);
    BOOST_TEST(*request.temperature == 0.5);
    BOOST_TEST(*request.top_p == 0.25);
    BOOST_TEST(*request.seed == std::numeric_limits<std::uint64_t>::max());
    BOOST_TEST((request.stop == std::vector<std::string>{"a", "b"}));
    BOOST_TEST(request.stream);
    BOOST_TEST(request.include_usage);
}

BOOST_AUTO_TEST_CASE(nulls_and_neutral_values_count_as_absent) {
    const auto request = parsed(body(
        R"("model":null,"max_tokens":null,"temperature":null,"top_p":null,"seed":null,"stop":null,"stream":null,
           "stream_options":null,"n":1,"frequency_penalty":0,"presence_penalty":0.0,"logit_bias":{},"logprobs":false,
           "top_logprobs":null,"tools":[],"tool_choice":"none","response_format":{"type":"text"},"top_k":-1,"min_p":0,
           "repetition_penalty":1.0,"ignore_eos":false,"min_tokens":0,"guided_json":null,"nvext":{})"));
    BOOST_TEST(request.model.empty());
    BOOST_TEST(!request.max_tokens.has_value());
    BOOST_TEST(!request.temperature.has_value());
    BOOST_TEST(!request.seed.has_value());
    BOOST_TEST(request.stop.empty());
    BOOST_TEST(!request.stream);
}

BOOST_AUTO_TEST_CASE(what_changes_the_meaning_and_is_not_served_is_refused_by_name) {
    for (const char* field : {R"("n":2)",
                              R"("n":0)",
                              R"("frequency_penalty":0.5)",
                              R"("presence_penalty":-1)",
                              R"("logprobs":true)",
                              R"("top_logprobs":3)",
                              R"("logit_bias":{"5":1})",
                              R"("tools":[{"type":"function"}])",
                              R"("tool_choice":"required")",
                              R"("response_format":{"type":"json_object"})",
                              R"("guided_json":{"a":1})",
                              R"("guided_choice":["a"])",
                              R"("nvext":{"guided_json":{}})",
                              R"("functions":[{}])",
                              R"("top_k":5)",
                              R"("min_p":0.1)",
                              R"("repetition_penalty":0)",
                              R"("repetition_penalty":1.1)",
                              R"("ignore_eos":true)",
                              R"("min_tokens":1)",
                              R"("best_of":2)",
                              R"("echo":true)",
                              R"("chat_template":"x")"}) {
        const std::string text(field);
        refused(body(text), errc::unsupported_parameter, text.substr(1, text.find('"', 1) - 1));
    }
    refused(body(R"("stream":true,"stream_options":{"continuous_usage_stats":true})"),
            errc::unsupported_parameter, "stream_options.continuous_usage_stats");
}

BOOST_AUTO_TEST_CASE(ranges_hold_at_their_edges) {
    for (const char* value : {"0", "2", "0.0", "2e0", "-0.0"})
        parsed(body(std::string("\"temperature\":") + value));
    for (const char* value : {"-0.001", "2.001", "1e308", "\"1\"", "true", "[]"})
        refused(body(std::string("\"temperature\":") + value), errc::invalid_value, "temperature");
    for (const char* value : {"1", "1e-9", "1.0"}) parsed(body(std::string("\"top_p\":") + value));
    for (const char* value : {"0", "-0.0", "1.0001", "-1"})
        refused(body(std::string("\"top_p\":") + value), errc::invalid_value, "top_p");
    for (const char* name : {"max_tokens", "max_completion_tokens"}) {
        const std::string key = "\"" + std::string(name) + "\":";
        parsed(body(key + "1"));
        parsed(body(key + std::to_string(max_token_count)));
        for (const char* value :
             {"0", "-1", "16777217", "2147483648", "9223372036854775808", "1.0", "1e3", "\"5\""})
            refused(body(key + value), errc::invalid_value, name);
    }
    BOOST_TEST(*parsed(body(R"("max_tokens":5,"max_completion_tokens":6)")).max_tokens == 6);
    for (const char* value : {"0", "-9223372036854775808", "9223372036854775807", "18446744073709551615"})
        parsed(body(std::string("\"seed\":") + value));
    for (const char* value : {"1.5", "1e30", "\"1\"", "18446744073709551616"})
        refused(body(std::string("\"seed\":") + value), errc::invalid_value, "seed");
}

BOOST_AUTO_TEST_CASE(stop_strings_are_limited_in_number_and_size) {
    const std::string longest(max_stop_bytes, 'x');
    BOOST_TEST(parsed(body("\"stop\":\"" + longest + "\"")).stop.front() == longest);
    refused(body("\"stop\":\"" + longest + "x\""), errc::invalid_value, "stop");
    std::string list = "[";
    for (std::size_t i = 0; i < max_stop_strings; ++i) list += (i == 0 ? "\"s\"" : ",\"s\"");
    BOOST_TEST(parsed(body("\"stop\":" + list + "]")).stop.size() == max_stop_strings);
    refused(body("\"stop\":" + list + ",\"s\"]"), errc::invalid_value, "stop");
    for (const char* value : {"\"\"", "[\"\"]", "[1]", "5", "{}"})
        refused(body(std::string("\"stop\":") + value), errc::invalid_value, "stop");
    BOOST_TEST(parsed(body("\"stop\":[]")).stop.empty());
}

BOOST_AUTO_TEST_CASE(messages_name_the_place_of_a_mistake) {
    refused("{}", errc::invalid_value, "messages");
    refused(R"({"messages":[]})", errc::invalid_value, "messages");
    refused(R"({"messages":"hi"})", errc::invalid_value, "messages");
    refused(R"({"messages":[5]})", errc::invalid_value, "messages[0]");
    refused(R"({"messages":[{"role":"user","content":"a"},{"content":"b"}]})", errc::invalid_value,
            "messages[1].role");
    refused(R"({"messages":[{"role":"robot","content":"b"}]})", errc::invalid_value, "messages[0].role");
    refused(R"({"messages":[{"role":"user"}]})", errc::invalid_value, "messages[0].content");
    refused(R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})", errc::unsupported_input,
            "messages[0].content");
    refused(R"({"messages":[{"role":"user","content":[{"type":"text"}]}]})", errc::invalid_value,
            "messages[0].content");
    std::string many = R"({"messages":[)";
    for (int i = 0; i < 1025; ++i) many += std::string(i == 0 ? "" : ",") + R"({"role":"user","content":""})";
    refused(many + "]}", errc::invalid_value, "messages");
}

BOOST_AUTO_TEST_CASE(json_is_strict) {
    const auto refused_json = [](const std::string& text) {
        const auto value = parse_json(text);
        return !value && value.error().code == errc::invalid_json;
    };
    BOOST_TEST(refused_json(""));
    BOOST_TEST(refused_json("{"));
    BOOST_TEST(refused_json("{} x"));
    BOOST_TEST(refused_json(R"({"a":1,"a":2})"));
    BOOST_TEST(refused_json(R"({"b":{"a":1,"\u0061":2}})"));
    BOOST_TEST(refused_json("[1e400]"));
    BOOST_TEST(refused_json("[-1e400]"));
    BOOST_TEST(refused_json("[NaN]"));
    BOOST_TEST(refused_json("[\"\xff\"]"));
    BOOST_TEST(refused_json("[\"\xed\xa0\x80\"]"));
    const auto nested = [](int depth) {
        return std::string(static_cast<std::size_t>(depth), '[') +
               std::string(static_cast<std::size_t>(depth), ']');
    };
    BOOST_TEST(parse_json(nested(32)).has_value());
    BOOST_TEST(refused_json(nested(33)));
    BOOST_TEST(parse_json(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})").has_value());
    refused("[]", errc::invalid_json, "");
}

BOOST_AUTO_TEST_CASE(what_is_written_reads_back) {
    std::string awkward;
    for (char c = 1; c < 127; ++c) awkward += c;
    awkward += "\xc3\xa9\xed\x95\x9c\xf0\x9f\x98\x80\"\\/";
    std::string text;
    append_json_string(text, awkward);
    BOOST_TEST(std::string(boost::json::parse(text).get_string()) == awkward);

    std::string number;
    append_json_number(number, 0.7);
    BOOST_TEST(number == "0.7");
}

BOOST_AUTO_TEST_CASE(chunks_carry_role_once_finish_once_and_usage_last) {
    const ChatIdentity identity{"chatcmpl-1", "m", 5};
    ChatChunkWriter writer(identity);
    std::string out;
    writer.text(out, "a\n\"b");
    writer.text(out, "c");
    writer.finish(out, FinishReason::length);
    writer.usage(out, {3, 2});
    std::vector<boost::json::object> events;
    for (std::size_t begin = 0; begin < out.size();) {
        const auto end = out.find("\n\n", begin);
        BOOST_REQUIRE(out.substr(begin, 6) == "data: ");
        events.push_back(boost::json::parse(out.substr(begin + 6, end - begin - 6)).as_object());
        begin = end + 2;
    }
    BOOST_REQUIRE(events.size() == 4);
    const auto choice = [&](std::size_t i) { return events[i].at("choices").at(0).as_object(); };
    BOOST_TEST(choice(0).at("delta").at("role") == "assistant");
    BOOST_TEST(choice(0).at("delta").at("content") == "a\n\"b");
    BOOST_TEST(!choice(1).at("delta").as_object().contains("role"));
    BOOST_TEST(choice(1).at("finish_reason").is_null());
    BOOST_TEST(choice(2).at("finish_reason") == "length");
    BOOST_TEST(choice(2).at("delta").as_object().empty());
    BOOST_TEST(events[3].at("choices").as_array().empty());
    BOOST_TEST(events[3].at("usage").at("total_tokens") == 5);
    BOOST_TEST(!events[2].contains("usage"));
}

BOOST_AUTO_TEST_CASE(an_empty_answer_still_has_a_role) {
    ChatChunkWriter writer({"chatcmpl-1", "m", 5});
    std::string out;
    writer.finish(out, FinishReason::stop);
    BOOST_TEST(out.find(R"("role":"assistant","content":"")") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(the_error_table_is_that_of_the_architecture) {
    const auto row = [](errc code) {
        const auto& info = error_info(code);
        return std::to_string(info.status) + " " + std::string(info.type) + " " + std::string(info.name) +
               (info.retry_after ? " retry" : "");
    };
    BOOST_TEST(row(errc::invalid_json) == "400 invalid_request_error invalid_json");
    BOOST_TEST(row(errc::context_length_exceeded) == "400 invalid_request_error context_length_exceeded");
    BOOST_TEST(row(errc::invalid_api_key) == "401 authentication_error invalid_api_key");
    BOOST_TEST(row(errc::host_not_allowed) == "403 permission_error host_not_allowed");
    BOOST_TEST(row(errc::model_not_found) == "404 invalid_request_error model_not_found");
    BOOST_TEST(row(errc::method_not_allowed) == "405 invalid_request_error method_not_allowed");
    BOOST_TEST(row(errc::lane_busy) == "409 invalid_request_error lane_busy");
    BOOST_TEST(row(errc::response_expired) == "410 invalid_request_error response_expired");
    BOOST_TEST(row(errc::payload_too_large) == "413 invalid_request_error payload_too_large");
    BOOST_TEST(row(errc::unsupported_media_type) == "415 invalid_request_error unsupported_media_type");
    BOOST_TEST(row(errc::upgrade_required) == "426 invalid_request_error upgrade_required");
    BOOST_TEST(row(errc::rate_limit_exceeded) == "429 rate_limit_error rate_limit_exceeded retry");
    BOOST_TEST(row(errc::headers_too_large) == "431 invalid_request_error headers_too_large");
    BOOST_TEST(row(errc::request_cancelled) == "499 invalid_request_error request_cancelled");
    BOOST_TEST(row(errc::numerical_error) == "500 server_error numerical_error");
    BOOST_TEST(row(errc::server_overloaded) == "503 server_error server_overloaded retry");
    BOOST_TEST(row(errc::engine_unavailable) == "503 server_error engine_unavailable retry");
    BOOST_TEST(row(errc::bad_model) == "500 server_error server_error");

    const auto object = boost::json::parse(error_body({errc::invalid_value, "a \"b\"", "top_p"})).as_object();
    const auto& error = object.at("error").as_object();
    BOOST_TEST(error.at("object") == "error");
    BOOST_TEST(error.at("message") == "a \"b\"");
    BOOST_TEST(error.at("param") == "top_p");
    BOOST_TEST(boost::json::parse(error_body({errc::not_found, "x"})).at("error").at("param").is_null());
}

BOOST_AUTO_TEST_SUITE_END()
