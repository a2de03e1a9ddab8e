// Tests requests with tools against the whole service with a fake model that gives a written answer, as far
// as the grammar allows it.
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>

#include "inference/grammar/compiler.hpp"
#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/running_service.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

// What the model answers. The prompt ends where its first token is chosen.
struct Script {
    std::string answer;
    std::size_t prompt_size = 0;

    void set(std::string_view text) {
        answer = text;
        prompt_size = 0;
    }
    // Returns the longest token with which the answer goes on, or the end where it is complete or was left.
    TokenId next(std::span<const TokenId> context) {
        if (prompt_size == 0) prompt_size = context.size();
        const std::string given = text_of(context.subspan(prompt_size));
        if (!answer.starts_with(given) || given.size() == answer.size()) return 2;
        const std::string_view rest = std::string_view(answer).substr(given.size());
        TokenId longest = 2;
        for (TokenId token = 3; token < demo_tokenizer().vocab_size(); ++token) {
            const auto bytes = demo_tokenizer().bytes_of(token);
            if (!bytes.empty() && rest.starts_with(bytes) &&
                bytes.size() > demo_tokenizer().bytes_of(longest).size())
                longest = token;
        }
        return longest;
    }
    static std::string text_of(std::span<const TokenId> tokens) {
        std::string text;
        for (const TokenId token : tokens) text += demo_tokenizer().bytes_of(token);
        return text;
    }
};

// A server whose model follows the script. Where the grammar does not allow the next token, the model takes
// another one.
struct Server {
    std::shared_ptr<Script> script = std::make_shared<Script>();
    RunningService service{{"--speculation", "off"},
                           {.capacity = {.num_blocks = 256,
                                         .max_tokens_per_step = 512,
                                         .max_seqs_per_step = 64,
                                         .max_model_len = 2048},
                            .script = [script = script](std::span<const TokenId> context) {
                                return std::optional(SampledToken{.token = script->next(context)});
                            }}};

    HttpAnswer post(const std::string& path, const std::string& body) {
        Connection connection(service.port());
        connection.send("POST " + path +
                        " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
                        std::to_string(body.size()) + "\r\n\r\n" + body);
        return connection.read_answer();
    }
    json::value ask(const std::string& path, const std::string& body, std::string_view answer) {
        script->set(answer);
        const auto reply = post(path, body);
        BOOST_REQUIRE_MESSAGE(reply.status == 200, reply.body);
        return json::parse(reply.body);
    }
    json::value chat(const std::string& fields, std::string_view answer) {
        return ask("/v1/chat/completions",
                   R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":300,)" + fields + "}", answer)
            .at("choices")
            .at(0);
    }
};

const std::string parameters =
    R"({"type":"object","properties":{"size":{"enum":["small","large"]},"count":{"type":"integer"}},
        "required":["size","count"],"additionalProperties":false})";
const std::string tools = R"("tools":[{"type":"function","function":{"name":"order","parameters":)" +
                          parameters + R"(}},{"type":"custom","custom":{"name":"note"}}])";
const std::string response_tools = R"("tools":[{"type":"function","name":"order","parameters":)" +
                                   parameters + R"(},{"type":"custom","name":"note"}])";

std::string call(const std::string& name, const std::string& arguments) {
    return "<tool_call>\n{\"name\": \"" + name + "\", \"arguments\": " + arguments + "}\n</tool_call>";
}

const std::string order = call("order", R"({"size": "large", "count": 3})");
const std::string note = call("note", R"({"input": "two \"large\""})");

}  // namespace

BOOST_AUTO_TEST_SUITE(service_tools,
                      *boost::unit_test::precondition([](auto) { return can_compile_grammars(); }))

BOOST_AUTO_TEST_CASE(model_may_answer_with_text_or_with_calls) {
    Server server;
    const auto text = server.chat(tools, "Hello <tool_");
    BOOST_TEST(text.at("message").at("content") == "Hello <tool_");
    BOOST_TEST(text.at("finish_reason") == "stop");
    const auto calls = server.chat(tools, "I order.\n" + order + "\n" + note);
    BOOST_TEST(calls.at("message").at("content") == "I order.");
    BOOST_TEST(calls.at("finish_reason") == "tool_calls");
    const auto& list = calls.at("message").at("tool_calls").as_array();
    BOOST_REQUIRE(list.size() == 2U);
    BOOST_TEST(list[0].at("function").at("name") == "order");
    BOOST_TEST(list[0].at("function").at("arguments") == R"({"size": "large", "count": 3})");
    BOOST_TEST(list[1].at("custom").at("input") == "two \"large\"");
}

BOOST_AUTO_TEST_CASE(calls_follow_the_choice_and_the_schema) {
    Server server;
    const auto check = [&](const std::string& fields, std::string_view answer, bool is_allowed) {
        std::vector<TokenId> given;
        const auto choice = server.chat(fields + R"(,"return_token_ids":true)", answer);
        for (const auto& token : choice.at("token_ids").as_array())
            given.push_back(static_cast<TokenId>(token.as_int64()));
        BOOST_TEST((Script::text_of(given) == answer) == is_allowed,
                   fields << (is_allowed ? " forbids " : " allows ") << answer);
    };
    const auto allows = [&](const std::string& fields, std::string_view answer) {
        check(fields, answer, true);
    };
    const auto forbids = [&](const std::string& fields, std::string_view answer) {
        check(fields, answer, false);
    };
    forbids(tools, call("order", R"({"size": "huge")"));
    forbids(tools, call("other", "{}"));
    forbids(tools + R"(,"tool_choice":"required")", "Hello");
    forbids(tools + R"(,"tool_choice":{"type":"custom","custom":{"name":"note"}})", order);
    forbids(tools + R"(,"parallel_tool_calls":false)", order + "\n" + note);
    forbids(tools + R"(,"tool_choice":"required")", order + " and more");
    allows(tools, order + " and more");
    allows(tools + R"(,"tool_choice":"required")", order + "\n" + note);
    allows(tools + R"(,"tool_choice":{"type":"custom","custom":{"name":"note"}},"parallel_tool_calls":false)",
           note);
    allows(tools + R"(,"tool_choice":"none")", call("other", "{}"));
}

BOOST_AUTO_TEST_CASE(text_beside_tools_can_follow_a_schema) {
    Server server;
    const std::string both =
        tools +
        R"(,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"enum":["yes","no"]}}})";
    BOOST_TEST(server.chat(both, R"("yes")").at("message").at("content") == R"("yes")");
    BOOST_TEST(server.chat(both, order).at("message").at("tool_calls").as_array().size() == 1U);
    const auto reply =
        server.post("/v1/chat/completions",
                    R"({"messages":[{"role":"user","content":"hi"}],"guided_choice":["a"],)" + tools + "}");
    BOOST_TEST(reply.status == 400);
    BOOST_TEST(json::parse(reply.body).at("error").at("param") == "guided_choice");
}

BOOST_AUTO_TEST_CASE(stop_strings_do_not_cut_calls) {
    Server server;
    const auto choice = server.chat(tools + R"(,"stop":["large","name","END"])", order + " ENDing");
    BOOST_TEST(choice.at("message").at("tool_calls").at(0).at("function").at("arguments") ==
               R"({"size": "large", "count": 3})");
    BOOST_TEST(choice.at("stop_reason") == "END");
    const auto text = server.chat(tools + R"(,"stop":"large")", "a large one");
    BOOST_TEST(text.at("message").at("content") == "a ");
}

BOOST_AUTO_TEST_CASE(markers_in_a_json_text_are_text) {
    Server server;
    const std::string marked =
        R"({"a": "<tool_call>01234567890order)" + std::string(R"(", "b": {"size": "huge"}})");
    const std::string schema =
        R"({"type":"object","properties":{"a":{"type":"string"},"b":{"type":"object","properties":{"size":{"type":"string"}}}},"required":["a","b"]})";
    const auto choice = server.chat(
        tools + R"(,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":)" + schema +
            "}}",
        marked);
    BOOST_TEST(choice.at("message").at("content").as_string() == marked);
    BOOST_TEST(choice.at("finish_reason") == "stop");
    BOOST_TEST(!choice.at("message").as_object().contains("tool_calls"));
    const auto stopped = server.chat(
        tools +
            R"(,"stop":"huge","response_format":{"type":"json_schema","json_schema":{"name":"x","schema":)" +
            schema + "}}",
        marked);
    BOOST_TEST(stopped.at("stop_reason") == "huge");
}

BOOST_AUTO_TEST_CASE(stop_tokens_do_not_cut_calls) {
    Server server;
    std::string stops;
    for (TokenId token = 0; token < demo_tokenizer().vocab_size(); ++token) {
        const auto bytes = demo_tokenizer().bytes_of(token);
        if (bytes == "l" || bytes == "large" || bytes == "la" || bytes == "3")
            stops += (stops.empty() ? "" : ",") + std::to_string(token);
    }
    BOOST_REQUIRE(!stops.empty());
    const auto choice = server.chat(tools + R"(,"stop_token_ids":[)" + stops + "]", order);
    BOOST_TEST(choice.at("finish_reason") == "tool_calls");
    BOOST_TEST(choice.at("message").at("tool_calls").at(0).at("function").at("arguments") ==
               R"({"size": "large", "count": 3})");
}

BOOST_AUTO_TEST_CASE(prompt_without_room_costs_no_compilation) {
    Server server;
    const auto refused =
        server.post("/v1/chat/completions", R"({"messages":[{"role":"user","content":")" +
                                                std::string(9000, 'x') + R"("}],)" + tools + "}");
    BOOST_TEST(refused.status == 400);
    Connection connection(server.service.port());
    connection.send(get_request("/metrics"));
    BOOST_TEST(connection.read_answer().body.find("solard_grammars_compiled_total{") != std::string::npos);
    Connection other(server.service.port());
    other.send(get_request("/metrics"));
    const std::string metrics = other.read_answer().body;
    const auto at = metrics.find("\nsolard_grammars_compiled_total{");
    BOOST_TEST(metrics.substr(metrics.find("} ", at) + 2, 2) == "0\n");
}

BOOST_AUTO_TEST_CASE(call_that_a_limit_cuts_ends_with_length) {
    Server server;
    const auto choice =
        server
            .ask("/v1/chat/completions",
                 R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":40,)" + tools + "}",
                 call("note", R"({"input": ")" + std::string(200, 'x')))
            .at("choices")
            .at(0);
    BOOST_TEST(choice.at("finish_reason") == "length");
    const auto& call = choice.at("message").at("tool_calls").at(0).at("custom");
    BOOST_TEST(call.at("input").as_string().starts_with("xxxx"), call);
}

BOOST_AUTO_TEST_CASE(responses_have_calls_as_items_and_continue_with_their_outputs) {
    Server server;
    const auto first = server.ask("/v1/responses", R"({"input":"hi",)" + response_tools + "}",
                                  "I order.\n" + order + "\n" + note);
    BOOST_TEST(first.at("status") == "completed");
    const auto& output = first.at("output").as_array();
    BOOST_REQUIRE(output.size() == 3U);
    BOOST_TEST(output[0].at("type") == "message");
    BOOST_TEST(output[1].at("type") == "function_call");
    BOOST_TEST(output[1].at("name") == "order");
    BOOST_TEST(output[2].at("type") == "custom_tool_call");
    BOOST_TEST(output[2].at("input") == "two \"large\"");
    BOOST_TEST(first.at("tools").as_array().size() == 2U);

    // The same conversation, continued and as a whole, has the same prompt.
    const std::string outputs = R"({"type":"function_call_output","call_id":")" +
                                std::string(output[1].at("call_id").as_string()) +
                                R"(","output":"ok"},{"type":"custom_tool_call_output","call_id":")" +
                                std::string(output[2].at("call_id").as_string()) + R"(","output":"noted"}])";
    const auto continued =
        server.ask("/v1/responses",
                   R"({"previous_response_id":")" + std::string(first.at("id").as_string()) + R"(",)" +
                       response_tools + R"(,"input":[)" + outputs + "}",
                   "Done.");
    BOOST_TEST(continued.at("output").at(0).at("content").at(0).at("text") == "Done.");
    json::array items{json::object{{"role", "user"}, {"content", "hi"}}};
    for (const auto& item : output) items.push_back(item);
    std::string input = json::serialize(items);
    input.pop_back();
    const auto whole = server.ask(
        "/v1/responses", "{" + response_tools + R"(,"input":)" + input + "," + outputs + "}", "Done.");
    BOOST_TEST(whole.at("usage").at("input_tokens") == continued.at("usage").at("input_tokens"));
    const auto without = server.ask("/v1/responses", R"({"input":"hi"})", "Hello");
    BOOST_TEST(first.at("usage").at("input_tokens").as_int64() >
               without.at("usage").at("input_tokens").as_int64() + 100);
}

BOOST_AUTO_TEST_CASE(tools_that_the_server_would_run_are_refused_by_name) {
    Server server;
    const auto reply = server.post("/v1/responses", R"({"input":"hi","tools":[{"type":"web_search"}]})");
    BOOST_TEST(reply.status == 400);
    BOOST_TEST(json::parse(reply.body).at("error").at("param") == "tools[0].type");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
