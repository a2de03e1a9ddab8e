// Tests requests and answers of Anthropic's Messages API.
#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>

#include "server/api/anthropic_answer.hpp"
#include "server/api/anthropic_messages.hpp"
#include "server/generation/generation_log.hpp"
#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/rendered.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

result<MessagesRequest> parse(const std::string& fields,
                              const std::string& messages = R"([{"role":"user","content":"hi"}])") {
    return parse_messages_request(
        R"({"max_tokens":5,"messages":)" + messages + (fields.empty() ? "" : ",") + fields + "}",
        UnknownFields::refused);
}

void check_refused(const result<MessagesRequest>& request, std::string_view param) {
    BOOST_REQUIRE(!request);
    BOOST_TEST(request.error().param == param, request.error().param << ": " << request.error().message);
}

// An answer whose log the test fills.
struct Answer {
    explicit Answer(bool may_call)
        : log(1, false, 1, may_call ? std::optional(CallRules{hermes_form}) : std::nullopt),
          writer(AnswerContext{{"msg_1", "m", 1}, fields_of(may_call), demo_tokenizer(), {}}) {}

    static GenerationFields fields_of(bool may_call) {
        GenerationFields fields;
        fields.sampling.stop = {"END"};
        if (may_call) fields.tools.emplace();
        return fields;
    }
    void append(std::string_view text, FinishReason finish = FinishReason::none, StopMatch stop = {}) {
        log.append({.text = text, .num_tokens = 1, .finish = finish, .stop = stop});
    }
    json::value whole() {
        const auto outputs = log.read_all();
        return json::parse(rendered(
            writer.whole(outputs, {.prompt_tokens = 10, .completion_tokens = 3, .cached_tokens = 4})));
    }
    std::vector<json::value> events() {
        boost::asio::io_context io;
        Wakeup wakeup(io.get_executor());
        LogReader reader(log, wakeup);
        std::string out;
        while (reader.num_unread() > 0)
            for (const auto& delta : reader.read()) writer.append_chunks(out, delta, {});
        writer.append_end(out);
        std::vector<json::value> events;
        while (!out.empty()) {
            const std::size_t data = out.find("\ndata: ");
            const std::size_t end = out.find("\n\n");
            events.push_back(json::parse(out.substr(data + 7, end - data - 7)));
            BOOST_TEST(events.back().at("type").as_string() == out.substr(7, data - 7));
            out.erase(0, end + 2);
        }
        return events;
    }

    GenerationLog log;
    MessagesAnswerWriter writer;
};

const std::string text_with_call =
    "Well.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1]}}\n</tool_call>";

}  // namespace

BOOST_AUTO_TEST_SUITE(anthropic_messages)

BOOST_AUTO_TEST_CASE(blocks_become_a_conversation) {
    const auto request = parse(
        R"("system":[{"type":"text","text":"Be"},{"type":"text","text":"brief.","cache_control":{"type":"ephemeral"}}])",
        R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
            {"role":"assistant","content":[{"type":"thinking","thinking":"?","signature":"s"},{"type":"text","text":"So."},
             {"type":"tool_use","id":"toolu_1","name":"f","input":{"x":[1]}},{"type":"tool_use","id":"toolu_2","name":"g","input":{}}]},
            {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"one"},
             {"type":"tool_result","tool_use_id":"toolu_2","content":[{"type":"text","text":"two"}],"is_error":true},
             {"type":"tool_result","tool_use_id":"toolu_3"},{"type":"text","text":"And?"}]}])");
    BOOST_REQUIRE_MESSAGE(request, request.error().message);
    const auto& messages = request->prompt.messages;
    BOOST_REQUIRE(messages.size() == 7U);
    BOOST_TEST((messages[0].role == Role::system));
    BOOST_TEST(messages[0].content == "Be\nbrief.");
    BOOST_TEST(messages[1].content == "a\nb");
    BOOST_TEST(messages[2].content == "So.");
    BOOST_TEST((messages[2].calls ==
                std::vector<ToolCall>{{"toolu_1", "f", R"({"x":[1]})"}, {"toolu_2", "g", "{}"}}));
    for (std::size_t i = 3; i < 6; ++i) BOOST_TEST((messages[i].role == Role::tool));
    BOOST_TEST(messages[4].content == "two");
    BOOST_TEST(messages[4].call_id == "toolu_2");
    BOOST_TEST((messages[6].role == Role::user));
    BOOST_TEST(messages[6].content == "And?");
    BOOST_TEST((request->prompt.end == PromptEnd::assistant_turn));
}

BOOST_AUTO_TEST_CASE(last_message_of_the_assistant_is_continued) {
    const auto request = parse("", R"([{"role":"user","content":"a"},{"role":"assistant","content":"So"}])");
    BOOST_TEST((request.value().prompt.end == PromptEnd::continued_message));
}

BOOST_AUTO_TEST_CASE(fields_have_their_meaning) {
    const auto request = parse(
        R"("stop_sequences":["a"],"temperature":0.5,"top_k":3,"stream":true,"metadata":{"user_id":"u"},"service_tier":"auto",
           "thinking":{"type":"enabled","budget_tokens":1024},"output_config":{"effort":"high"},"mcp_servers":[],
           "tools":[{"name":"f","input_schema":{"type":"object"}},{"type":"custom","name":"g","description":"G"}],
           "tool_choice":{"type":"any","disable_parallel_tool_use":true})");
    BOOST_REQUIRE_MESSAGE(request, request.error().message);
    const GenerationFields& fields = request->generation;
    BOOST_TEST(fields.sampling.stop.at(0) == "a");
    BOOST_TEST(*fields.sampling.temperature == 0.5);
    BOOST_TEST(fields.stream);
    BOOST_TEST(*fields.max_tokens == 5);
    BOOST_TEST(fields.tools->callable.size() == 2U);
    BOOST_TEST(fields.tools->must_call);
    BOOST_TEST(!fields.tools->parallel);
    BOOST_TEST(request->prompt.inputs.tools.size() == 2U);
    const std::string tools = R"("tools":[{"name":"f"},{"name":"g"}],"tool_choice":)";
    BOOST_TEST(parse(tools + R"({"type":"tool","name":"g"})").value().generation.tools->callable.at(0).name ==
               "g");
    BOOST_TEST(!parse(tools + R"({"type":"auto"})").value().generation.tools->must_call);
    BOOST_TEST(!parse(tools + R"({"type":"none"})").value().generation.tools.has_value());
    BOOST_TEST(parse_count_request(R"({"messages":[{"role":"user","content":"a"}]})", UnknownFields::refused)
                   .has_value());
}

BOOST_AUTO_TEST_CASE(blocks_count_as_messages_and_calls) {
    const auto results = [](std::size_t count) {
        std::string blocks;
        for (std::size_t i = 0; i < count; ++i)
            blocks += (i > 0 ? "," : "") + std::string(R"({"type":"tool_result"})");
        return parse("", R"([{"role":"user","content":[)" + blocks + "]}]");
    };
    BOOST_TEST(results(max_messages).has_value());
    check_refused(results(max_messages + 1), "messages");
    const auto calls = [](std::size_t count) {
        std::string blocks;
        for (std::size_t i = 0; i < count; ++i)
            blocks +=
                (i > 0 ? "," : "") + std::string(R"({"type":"tool_use","id":"t","name":"f","input":{}})");
        return parse("", R"([{"role":"assistant","content":[)" + blocks + "]}]");
    };
    BOOST_TEST(calls(max_calls).has_value());
    check_refused(calls(max_calls + 1), "messages[0].content[" + std::to_string(max_calls) + "].type");
}

BOOST_AUTO_TEST_CASE(problems_name_their_field) {
    check_refused(
        parse_messages_request(R"({"messages":[{"role":"user","content":"a"}]})", UnknownFields::refused),
        "max_tokens");
    check_refused(parse("", "[]"), "messages");
    check_refused(parse("", R"([{"role":"tool","content":"a"}])"), "messages[0].role");
    check_refused(parse("", R"([{"role":"user"}])"), "messages[0].content");
    check_refused(parse("", R"([{"role":"user","content":[{"type":"image"}]}])"),
                  "messages[0].content[0].type");
    check_refused(parse("", R"([{"role":"user","content":[{"type":"text"}]}])"),
                  "messages[0].content[0].text");
    check_refused(parse("", R"([{"role":"user","content":[{"type":"tool_use","name":"f","input":{}}]}])"),
                  "messages[0].content[0].type");
    check_refused(parse("", R"([{"role":"assistant","content":[{"type":"tool_result"}]}])"),
                  "messages[0].content[0].type");
    check_refused(
        parse("", R"([{"role":"assistant","content":[{"type":"tool_use","name":"f","input":"x"}]}])"),
        "messages[0].content[0].input");
    check_refused(parse(R"("tools":[{"name":"f","input_schema":{"type":"array"}}])"),
                  "tools[0].input_schema");
    check_refused(parse(R"("tools":[{"type":"bash_20250124","name":"bash"}])"), "tools[0].type");
    check_refused(parse(R"("tools":[{"name":"f"}],"tool_choice":"auto")"), "tool_choice");
    check_refused(parse(R"("tools":[{"name":"f"}],"tool_choice":{"type":"tool","name":"x"})"), "tool_choice");
    check_refused(parse(R"("mcp_servers":[{}])"), "mcp_servers");
    check_refused(parse(R"("output_format":{"type":"json_schema"})"), "output_format");
    check_refused(parse(R"("output_config":{"format":{}})"), "output_config.format");
    check_refused(parse(R"("stop_sequences":[1])"), "stop_sequences");
    check_refused(parse(R"("n":2)"), "n");
    check_refused(parse(R"("no_such_field":1)"), "no_such_field");
}

BOOST_AUTO_TEST_CASE(whole_answer_has_blocks_and_usage) {
    Answer answer(true);
    answer.append(text_with_call, FinishReason::stop);
    const auto message = answer.whole();
    BOOST_TEST(message.at("content").at(0).at("text") == "Well.");
    const auto& call = message.at("content").at(1);
    BOOST_TEST(call.at("type") == "tool_use");
    BOOST_TEST(call.at("id").as_string().starts_with("toolu_"));
    BOOST_TEST(call.at("input").at("a").at(0) == 1);
    BOOST_TEST(message.at("stop_reason") == "tool_use");
    BOOST_TEST(message.at("usage").at("input_tokens") == 6);
    BOOST_TEST(message.at("usage").at("cache_read_input_tokens") == 4);
    BOOST_TEST(message.at("usage").at("output_tokens") == 3);
}

BOOST_AUTO_TEST_CASE(end_has_its_reason) {
    Answer stopped(false);
    stopped.append("So", FinishReason::stop, {.index = 0});
    BOOST_TEST(stopped.whole().at("stop_reason") == "stop_sequence");
    BOOST_TEST(stopped.whole().at("stop_sequence") == "END");
    Answer empty(false);
    empty.append("", FinishReason::stop);
    BOOST_TEST(empty.whole().at("content").as_array().empty());
    BOOST_TEST(empty.whole().at("stop_reason") == "end_turn");
    Answer cut(true);
    cut.append(text_with_call.substr(0, text_with_call.find("[1")), FinishReason::length);
    BOOST_TEST(cut.whole().at("stop_reason") == "max_tokens");
    BOOST_TEST(cut.whole().at("content").at(1).at("input").as_object().empty());
}

BOOST_AUTO_TEST_CASE(events_are_the_whole_answer) {
    for (std::size_t size = 1; size <= text_with_call.size(); size += size < 9 ? 1 : 13) {
        Answer answer(true);
        for (std::size_t at = 0; at < text_with_call.size(); at += size)
            answer.append(text_with_call.substr(at, size),
                          at + size >= text_with_call.size() ? FinishReason::stop : FinishReason::none);
        std::vector<std::string> types;
        std::vector<std::string> contents;
        for (const auto& event : answer.events()) {
            const std::string type(event.at("type").as_string());
            if (types.empty() || types.back() != type) types.push_back(type);
            if (type == "content_block_start") {
                BOOST_TEST(event.at("index") == contents.size());
                contents.emplace_back();
            }
            if (type != "content_block_delta") continue;
            const auto& delta = event.at("delta").as_object();
            const char* name = contents.size() == 1 ? "text" : "partial_json";
            contents.at(event.at("index").to_number<std::size_t>()) += delta.at(name).as_string();
        }
        BOOST_TEST(contents == (std::vector<std::string>{"Well.", R"({"a": [1]})"}),
                   boost::test_tools::per_element());
        const std::vector<std::string> expected{
            "message_start",      "content_block_start", "content_block_delta",
            "content_block_stop", "content_block_start", "content_block_delta",
            "content_block_stop", "message_delta",       "message_stop"};
        BOOST_TEST(types == expected, boost::test_tools::per_element());
    }
}

BOOST_AUTO_TEST_CASE(events_of_a_plain_text_have_one_block) {
    Answer answer(false);
    answer.append("");
    answer.append("So");
    answer.append(".", FinishReason::stop);
    const auto events = answer.events();
    BOOST_REQUIRE(events.size() == 6U);
    BOOST_TEST(events[2].at("delta").at("text") == "So.");
    Answer empty(false);
    empty.append("", FinishReason::stop);
    BOOST_TEST(empty.events().size() == 3U);
}

BOOST_AUTO_TEST_CASE(errors_have_their_types) {
    const auto type_of = [](errc code) {
        const auto body = json::parse(messages_error_body({code, "x"}, "req_1"));
        BOOST_TEST(body.at("type") == "error");
        BOOST_TEST(body.at("request_id") == "req_1");
        BOOST_TEST(body.at("error").at("message") == "x");
        return std::string(body.at("error").at("type").as_string());
    };
    BOOST_TEST(type_of(errc::invalid_value) == "invalid_request_error");
    BOOST_TEST(type_of(errc::model_not_found) == "not_found_error");
    BOOST_TEST(type_of(errc::rate_limit_exceeded) == "rate_limit_error");
    BOOST_TEST(type_of(errc::server_overloaded) == "overloaded_error");
    BOOST_TEST(type_of(errc::server_error) == "api_error");
    Answer answer(false);
    std::string event;
    answer.writer.append_error(event, {errc::server_overloaded, "x"});
    BOOST_TEST(event ==
               "event: error\ndata: "
               "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n");
    BOOST_TEST(is_messages_path("/v1/messages"));
    BOOST_TEST(is_messages_path("/v1/messages/count_tokens"));
    BOOST_TEST(!is_messages_path("/v1/messagesx"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
