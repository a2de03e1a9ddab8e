// Tests calls of tools in the messages of requests and in the answers of chats.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>

#include "server/api/chat_completions.hpp"
#include "server/api/responses.hpp"
#include "server/generation/generation_log.hpp"
#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/rendered.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

result<ChatRequest> chat(const std::string& messages) {
    return parse_chat_request(R"({"messages":[{"role":"user","content":"hi"},)" + messages + "]}",
                              UnknownFields::refused);
}

result<ResponseRequest> response(const std::string& items) {
    return parse_response_request(R"({"input":[{"role":"user","content":"hi"},)" + items + "]}",
                                  UnknownFields::refused);
}

template <class Request>
void check_refused(const result<Request>& request, std::string_view param) {
    BOOST_REQUIRE(!request);
    BOOST_TEST(request.error().param == param, request.error().param << ": " << request.error().message);
}

const std::string call = R"({"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}})";

// A chat whose log the test fills.
struct Chat {
    GenerationLog log{2, false, 1, CallRules{hermes_form, {"note"}}};
    ChatAnswerWriter writer{AnswerContext{{"id", "m", 1}, {}, demo_tokenizer(), {}}};

    void append(std::uint32_t output, std::string_view text, FinishReason finish = FinishReason::none) {
        log.append({.output = output, .text = text, .num_tokens = 1, .finish = finish});
    }
    json::value whole() {
        const auto outputs = log.read_all();
        return json::parse(rendered(writer.whole(outputs, {})));
    }
};

const std::string text_with_calls =
    "Well.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"<\\\"한\"}}\n</tool_call>\n<tool_call>\n"
    "{\"name\": \"note\", \"arguments\": {\"input\": \"a\\\"b\"}}\n</tool_call>";

}  // namespace

BOOST_AUTO_TEST_SUITE(tool_messages)

BOOST_AUTO_TEST_CASE(chat_history_has_calls_and_results) {
    const auto request = chat(R"({"role":"assistant","content":null,"tool_calls":[)" + call +
                              R"(,{"id":"c2","type":"custom","custom":{"name":"note","input":"a\"b"}}]},
                {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"one"}]},
                {"role":"function","name":"f","content":"two"})");
    BOOST_REQUIRE(request);
    const auto& messages = request->prompt.messages;
    BOOST_REQUIRE(messages.size() == 4U);
    BOOST_TEST(messages[1].content.empty());
    BOOST_TEST((messages[1].calls ==
                std::vector<ToolCall>{{"c1", "f", R"({"a": 1})"}, {"c2", "note", R"({"input":"a\"b"})"}}));
    BOOST_TEST((messages[2].role == Role::tool));
    BOOST_TEST(messages[2].call_id == "c1");
    BOOST_TEST(messages[2].content == "one");
    BOOST_TEST((messages[3].role == Role::tool));
    BOOST_TEST(chat(R"({"role":"assistant","content":"x","tool_calls":null})").has_value());
    const auto empty =
        chat(R"({"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":""}}]})");
    BOOST_TEST(empty.value().prompt.messages[1].calls[0].arguments == "{}");
}

BOOST_AUTO_TEST_CASE(message_after_calls_belongs_to_their_turn) {
    const auto request = response(R"(
        {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
        {"type":"message","role":"assistant","content":[{"type":"output_text","text":"So."}]},
        {"type":"function_call_output","call_id":"c1","output":"one"})");
    const auto& messages = request.value().input;
    BOOST_REQUIRE(messages.size() == 3U);
    BOOST_TEST(messages[1].content == "So.");
    BOOST_TEST(messages[1].calls.size() == 1U);
}

BOOST_AUTO_TEST_CASE(number_of_calls_in_a_message_is_limited) {
    const auto with = [](std::size_t count) {
        std::string calls;
        for (std::size_t i = 0; i < count; ++i) calls += (i > 0 ? "," : "") + call;
        return chat(R"({"role":"assistant","tool_calls":[)" + calls + "]}");
    };
    BOOST_TEST(with(max_calls).has_value());
    check_refused(with(max_calls + 1), "messages[1].tool_calls");
}

BOOST_AUTO_TEST_CASE(wrong_calls_in_a_chat_are_named) {
    const std::string path = "messages[1].tool_calls";
    check_refused(chat(R"({"role":"assistant","tool_calls":{}})"), path);
    check_refused(chat(R"({"role":"assistant","tool_calls":[1]})"), path + "[0].function");
    check_refused(chat(R"({"role":"assistant","tool_calls":[{"type":"custom"}]})"), path + "[0].custom");
    check_refused(chat(R"({"role":"assistant","tool_calls":[{"function":{"arguments":"{}"}}]})"),
                  path + "[0].function.name");
    check_refused(chat(R"({"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":{}}}]})"),
                  path + "[0].function.arguments");
    check_refused(chat(R"({"role":"user","content":"x","tool_calls":[)" + call + "]}"), path);
    check_refused(chat(R"({"role":"tool","tool_call_id":"c1"})"), "messages[1].content");
}

BOOST_AUTO_TEST_CASE(items_of_responses_become_messages) {
    const auto request = response(R"(
        {"type":"reasoning","summary":[]},
        {"type":"function_call","call_id":"c1","name":"f","arguments":"{}","id":"fc_1","status":"completed"},
        {"type":"custom_tool_call","call_id":"c2","name":"note","input":"x"},
        {"type":"function_call_output","call_id":"c1","output":"one"},
        {"type":"custom_tool_call_output","call_id":"c2","output":[{"type":"input_text","text":"two"}]})");
    BOOST_REQUIRE(request);
    const auto& messages = request->input;
    BOOST_REQUIRE(messages.size() == 4U);
    BOOST_TEST((messages[1].role == Role::assistant));
    BOOST_TEST(
        (messages[1].calls == std::vector<ToolCall>{{"c1", "f", "{}"}, {"c2", "note", R"({"input":"x"})"}}));
    BOOST_TEST(messages[2].call_id == "c1");
    BOOST_TEST(messages[3].content == "two");
}

BOOST_AUTO_TEST_CASE(wrong_items_of_responses_are_named) {
    check_refused(response(R"({"type":"function_call","call_id":"c1","arguments":"{}"})"), "input[1].name");
    check_refused(response(R"({"type":"custom_tool_call","name":"n"})"), "input[1].input");
    check_refused(response(R"({"type":"function_call_output","call_id":"c1"})"), "input[1].output");
    check_refused(response(R"({"type":"item_reference","id":"x"})"), "input[1].type");
    check_refused(response(R"({"role":"tool","content":"x"})"), "input[1].role");
    check_refused(parse_response_request(R"({"input":[{"type":"reasoning"}]})", UnknownFields::refused),
                  "input");
}

BOOST_AUTO_TEST_CASE(whole_answer_has_content_and_calls) {
    Chat chat;
    chat.append(0, text_with_calls, FinishReason::stop);
    chat.append(1, text_with_calls.substr(6), FinishReason::length);
    const auto answer = chat.whole();
    const auto& choice = answer.at("choices").at(0);
    BOOST_TEST(choice.at("finish_reason") == "tool_calls");
    const auto& message = choice.at("message");
    BOOST_TEST(message.at("content") == "Well.");
    BOOST_TEST(message.at("refusal").is_null());
    const auto& calls = message.at("tool_calls").as_array();
    BOOST_REQUIRE(calls.size() == 2U);
    BOOST_TEST(calls[0].at("type") == "function");
    BOOST_TEST(calls[0].at("function").at("name") == "f");
    BOOST_TEST(calls[0].at("function").at("arguments") == R"({"a": "<\"한"})");
    BOOST_TEST(calls[0].at("id").as_string().starts_with("call_"));
    BOOST_TEST(calls[0].at("id") != calls[1].at("id"));
    BOOST_TEST(calls[1].at("type") == "custom");
    BOOST_TEST(calls[1].at("custom").at("input") == "a\"b");
    // Without text, the content is null. A limit that cuts the answer is its reason to end.
    BOOST_TEST(answer.at("choices").at(1).at("message").at("content").is_null());
    BOOST_TEST(answer.at("choices").at(1).at("finish_reason") == "length");
}

BOOST_AUTO_TEST_CASE(answer_without_calls_is_as_always) {
    Chat chat;
    chat.append(0, "No ", FinishReason::none);
    chat.append(0, "calls <", FinishReason::stop);
    chat.append(1, "", FinishReason::stop);
    const auto answer = chat.whole();
    BOOST_TEST(answer.at("choices").at(0).at("message").at("content") == "No calls <");
    BOOST_TEST(answer.at("choices").at(0).at("finish_reason") == "stop");
    BOOST_TEST(!answer.at("choices").at(0).at("message").as_object().contains("tool_calls"));
    BOOST_TEST(answer.at("choices").at(1).at("message").at("content") == "");
}

// Both outputs are streamed in parts of every size and put together as the SDKs do.
BOOST_AUTO_TEST_CASE(streamed_calls_are_the_whole_calls) {
    for (std::size_t size = 1; size < 80; size += size < 9 ? 1 : 17) {
        Chat chat;
        boost::asio::io_context io;
        Wakeup wakeup(io.get_executor());
        LogReader reader(chat.log, wakeup);
        std::string out;
        std::size_t end = 0;
        for (std::size_t at = 0; at < text_with_calls.size(); at = end) {
            end = std::min(at + size, text_with_calls.size());
            while (end < text_with_calls.size() && (text_with_calls[end] & 0xC0) == 0x80) ++end;
            const bool is_last = end == text_with_calls.size();
            for (const std::uint32_t output : {1U, 0U})
                chat.append(output, text_with_calls.substr(at, end - at),
                            is_last ? FinishReason::stop : FinishReason::none);
            while (reader.num_unread() > 0)
                for (const auto& delta : reader.read()) chat.writer.append_chunks(out, delta, {});
        }
        std::vector<std::string> contents(2);
        std::vector<std::vector<json::object>> calls(2);
        int num_finished = 0;
        while (!out.empty()) {
            const std::size_t chunk_end = out.find("\n\n");
            const auto chunk = json::parse(out.substr(6, chunk_end - 6));
            out.erase(0, chunk_end + 2);
            const auto& choice = chunk.at("choices").at(0);
            const auto output = static_cast<std::size_t>(choice.at("index").as_int64());
            const auto& delta = choice.at("delta").as_object();
            if (const auto* text = delta.if_contains("content")) contents[output] += text->as_string();
            if (const auto* list = delta.if_contains("tool_calls")) {
                BOOST_REQUIRE(list->as_array().size() == 1U);
                const auto& part = list->at(0).as_object();
                const auto index = static_cast<std::size_t>(part.at("index").as_int64());
                if (part.contains("id")) {
                    BOOST_REQUIRE(index == calls[output].size());
                    calls[output].push_back(part);
                    continue;
                }
                json::object& known = calls[output].at(index);
                const bool is_custom = part.contains("custom");
                const char* name = is_custom ? "input" : "arguments";
                auto& content = known.at(is_custom ? "custom" : "function").at(name).as_string();
                content += part.at(is_custom ? "custom" : "function").at(name).as_string();
            }
            if (choice.at("finish_reason").is_null()) continue;
            BOOST_TEST(choice.at("finish_reason") == "tool_calls");
            ++num_finished;
        }
        BOOST_TEST(num_finished == 2);
        const auto whole = chat.whole();
        for (std::size_t output = 0; output < 2; ++output) {
            const auto& message = whole.at("choices").at(output).at("message");
            BOOST_TEST(message.at("content").as_string() == contents[output]);
            BOOST_REQUIRE(calls[output].size() == 2U);
            for (std::size_t i = 0; i < 2; ++i) {
                calls[output][i].erase("index");
                BOOST_TEST((message.at("tool_calls").at(i) == json::value(calls[output][i])));
            }
        }
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
