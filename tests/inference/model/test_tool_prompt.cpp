// Tests the prompts of conversations with tools.
#include <boost/json/object.hpp>
#include <boost/test/unit_test.hpp>

#include "inference/model/chat_template.hpp"
#include "inference/model/tool_form.hpp"
#include "inference/model/tool_prompt.hpp"
#include "tests/support/model_folder.hpp"

namespace solard {
namespace {

namespace json = boost::json;

const json::array tools{json::object{{"type", "function"}, {"function", {{"name", "f"}}}}};

std::vector<ChatMessage> conversation() {
    std::vector<ChatMessage> messages{{Role::system, "Be brief."}, {Role::user, "Add 1 and 2."}};
    messages.push_back({Role::assistant, "Yes."});
    messages.back().calls = {{"call_1", "add", R"({"a": 1})"}, {"call_2", "add", R"({"a": 2})"}};
    messages.push_back({Role::tool, "three"});
    messages.back().call_id = "call_1";
    messages.push_back({Role::tool, "four"});
    messages.back().call_id = "call_2";
    messages.push_back({Role::user, "And?"});
    return messages;
}

std::string rendered(const std::string& source, const std::vector<ChatMessage>& messages,
                     const json::array& with_tools) {
    const ModelFolder folder;
    folder.write_text("chat_template.jinja", source);
    TemplateInputs inputs;
    inputs.tools = with_tools;
    const auto text = ChatTemplate::load(folder.path(), std::nullopt)
                          .value()
                          .render(messages, PromptEnd::assistant_turn, inputs);
    return text ? text->bytes() : "refused: " + text.error().message;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tool_prompt)

BOOST_AUTO_TEST_CASE(template_without_tools_gets_them_as_text) {
    const auto messages = with_tools_as_text(conversation(), tools);
    BOOST_REQUIRE(messages.size() == 4U);
    BOOST_TEST(messages[0].content.starts_with("Be brief.\n\nYou can call tools."));
    BOOST_TEST(messages[0].content.find("\n{\"type\":\"function\",\"function\":{\"name\":\"f\"}}\n") !=
               std::string::npos);
    BOOST_TEST(messages[2].content ==
               "Yes.\n<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 1}}\n</tool_call>\n"
               "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": 2}}\n</tool_call>");
    BOOST_TEST((messages[3].role == Role::user));
    BOOST_TEST(messages[3].content ==
               "<tool_response>\nthree\n</tool_response>\n<tool_response>\nfour\n</tool_response>\nAnd?");
    // Without a system message, the tools have one of their own.
    const auto short_one = with_tools_as_text(std::vector<ChatMessage>{{Role::user, "Hi"}}, tools);
    BOOST_REQUIRE(short_one.size() == 2U);
    BOOST_TEST((short_one[0].role == Role::system));
    BOOST_TEST(with_tools_as_text(std::vector<ChatMessage>{{Role::user, "Hi"}}, {}).size() == 1U);
}

BOOST_AUTO_TEST_CASE(solar_shows_tools_calls_and_results) {
    TemplateInputs inputs;
    inputs.tools = tools;
    const std::string text =
        ChatTemplate::solar().render(conversation(), PromptEnd::assistant_turn, inputs).value().bytes();
    BOOST_TEST(text.starts_with("### System:\nBe brief.\n\nYou can call tools."));
    BOOST_TEST(text.find("### User:\n<tool_response>\nthree") != std::string::npos);
    // The results of calls need no tools in the request.
    BOOST_TEST(ChatTemplate::solar().render(conversation()).value().bytes().find("You can") ==
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(template_that_knows_tools_gets_them_itself) {
    const std::string source =
        "{{ tools | length }}{# <tool_call> #}{% for m in messages %}|{{ m.role }}"
        "{% for c in m.tool_calls or [] %} {{ c.id }} {{ c.function.name }} {{ c.function.arguments.a }}"
        "{% endfor %}{% if m.tool_call_id %} {{ m.tool_call_id }}{% endif %}{% endfor %}";
    BOOST_TEST(rendered(source, conversation(), tools) ==
               "1|system|user|assistant call_1 add 1 call_2 add 2|tool call_1|tool call_2|user");
    auto messages = conversation();
    messages[2].calls[0].arguments = "no JSON";
    BOOST_TEST(rendered("{# tools <tool_call> #}{{ messages[2].tool_calls[0].function.arguments }}", messages,
                        tools) == "no JSON");
}

BOOST_AUTO_TEST_CASE(ids_of_calls_have_the_form_that_the_template_wants) {
    const std::string source =
        "{# tools [TOOL_CALLS] #}{% for m in messages %}{% for c in m.tool_calls or [] %}{{ c.id }} "
        "{% endfor %}{% if m.tool_call_id %}{{ m.tool_call_id }} {% endif %}{% endfor %}";
    auto messages = conversation();
    messages[2].calls[1].id = messages[4].call_id = "abcDEF123";
    const std::string text = rendered(source, messages, tools);
    BOOST_REQUIRE(text.size() == 40U);
    BOOST_TEST(text.substr(10, 10) == "abcDEF123 ");
    BOOST_TEST(text.substr(0, 10) == text.substr(20, 10));
    BOOST_TEST(text.substr(10, 10) == text.substr(30, 10));
    BOOST_TEST(text.find('_') == std::string::npos);
}

BOOST_AUTO_TEST_CASE(form_of_the_calls_follows_from_the_template) {
    BOOST_TEST(!tool_form_of("no such thing").in_template);
    BOOST_TEST(tool_form_of("no such thing").trigger == "<tool_call>");
    BOOST_TEST(tool_form_of("tools <tool_call>").in_template);
    BOOST_TEST(!tool_form_of("tools <tool_call>\n<function=name>").in_template);
    BOOST_TEST(!tool_form_of("tools {{ tools }}").in_template);
    BOOST_TEST(tool_form_of("tools [TOOL_CALLS] [").head == "[TOOL_CALLS] [{\"name\": \"");
    BOOST_TEST(tool_form_of("tools [TOOL_CALLS][").head == "[TOOL_CALLS][{\"name\": \"");
    BOOST_TEST(tool_form_of("tools [TOOL_CALLS]").id_length == 9U);
    BOOST_TEST(!tool_form_of("tools [TOOL_CALLS]f[ARGS]").in_template);
    BOOST_TEST(tool_form_of("tools Environment: ipython {\"name\": x, \"parameters\": y}").middle ==
               "\", \"parameters\": ");
    for (const char* source : {"", "tools <tool_call>", "tools [TOOL_CALLS]"}) {
        const ToolForm form = tool_form_of(source);
        BOOST_TEST(form.head.starts_with(form.trigger));
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
