#include "inference/model/chat_template.hpp"

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <vector>

#include "tests/support/check_refused.hpp"
#include "tests/support/model_folder.hpp"

namespace solard {
namespace {

namespace json = boost::json;

const std::vector<ChatMessage> hello{{Role::user, "Hi"}};

std::string text_of(const result<ChatTemplate>& chat_template,
                    const std::vector<ChatMessage>& messages = hello,
                    PromptEnd end = PromptEnd::assistant_turn, const TemplateInputs& inputs = {}) {
    require_accepted(chat_template);
    const auto prompt = chat_template->render(messages, end, inputs);
    require_accepted(prompt);
    return prompt->bytes();
}

std::string rendered(const std::vector<ChatMessage>& messages) {
    return text_of(ChatTemplate::solar(), messages);
}

// The template as its author published it.
const std::string published =
    "{% for message in messages %}{% if message['role'] == 'system' %}{% if message['content']%}"
    "{{'### System:\\n' + message['content']+'\\n\\n'}}{% endif %}{% elif message['role'] == 'user' %}"
    "{{'### User:\\n' + message['content']+'\\n\\n'}}{% elif message['role'] == 'assistant' %}"
    "{{'### Assistant:\\n'  + message['content']}}{% endif %}"
    "{% if loop.last and add_generation_prompt %}{{ '### Assistant:\\n' }}{% endif %}{% endfor %}";

result<ChatTemplate> load(const json::object& config, const std::optional<std::string>& override_name = {}) {
    const ModelFolder folder;
    folder.write_text("tokenizer_config.json", json::serialize(config));
    return ChatTemplate::load(folder.path(), override_name);
}
result<ChatTemplate> check(const json::value& chat_template,
                           const std::optional<std::string>& override_name = {}) {
    return load({{"chat_template", chat_template}}, override_name);
}

BOOST_AUTO_TEST_SUITE(chat_template)

BOOST_AUTO_TEST_CASE(each_role_is_rendered) {
    BOOST_TEST(rendered({{Role::user, "Hi"}}) == "### User:\nHi\n\n### Assistant:\n");
    BOOST_TEST(rendered({{Role::system, "Be brief."}, {Role::user, "Hi"}}) ==
               "### System:\nBe brief.\n\n### User:\nHi\n\n### Assistant:\n");
    BOOST_TEST(rendered({{Role::user, "Hi"}, {Role::assistant, "Hello."}, {Role::user, "Bye"}}) ==
               "### User:\nHi\n\n### Assistant:\nHello.### User:\nBye\n\n### Assistant:\n");
}

BOOST_AUTO_TEST_CASE(only_empty_system_text_is_left_out) {
    BOOST_TEST(rendered({{Role::system, ""}, {Role::user, ""}}) == "### User:\n\n\n### Assistant:\n");
    BOOST_TEST(rendered({{Role::system, " "}, {Role::user, "x"}}) ==
               "### System:\n \n\n### User:\nx\n\n### Assistant:\n");
    BOOST_TEST(rendered({{Role::assistant, ""}}) == "### Assistant:\n### Assistant:\n");
}

BOOST_AUTO_TEST_CASE(texts_are_not_changed) {
    BOOST_TEST(rendered({{Role::user, " </s>{{ x }}\r\n### User:\n "}}) ==
               "### User:\n </s>{{ x }}\r\n### User:\n \n\n### Assistant:\n");
}

BOOST_AUTO_TEST_CASE(published_template_of_solar_and_the_built_in_one_have_the_same_text) {
    const auto folder = check(json::value(published));
    const auto demo = ChatTemplate::load(std::filesystem::path(SOLARD_SOURCE_DIR) / "config/demo-model", {});
    for (const auto& messages : std::vector<std::vector<ChatMessage>>{
             hello,
             {{Role::system, ""}, {Role::user, " x\n"}, {Role::assistant, "y"}, {Role::user, "z"}},
             {{Role::user, "x"}, {Role::system, "late"}, {Role::assistant, "end"}}}) {
        for (const auto end :
             {PromptEnd::assistant_turn, PromptEnd::last_message, PromptEnd::continued_message}) {
            const std::string expected = text_of(ChatTemplate::solar(), messages, end);
            BOOST_TEST(text_of(folder, messages, end) == expected);
            BOOST_TEST(text_of(demo, messages, end) == expected);
        }
    }
}

BOOST_AUTO_TEST_CASE(folder_template_file_wins_over_the_configuration) {
    const ModelFolder folder;
    folder.write_text("tokenizer_config.json", R"({"chat_template": "from the configuration"})");
    BOOST_TEST(text_of(ChatTemplate::load(folder.path(), {})) == "from the configuration");
    folder.write_text("chat_template.jinja", "from the file\n");
    BOOST_TEST(text_of(ChatTemplate::load(folder.path(), {})) == "from the file");
    folder.write_text("other.jinja", "{{ bos_token }}from an option");
    BOOST_TEST(text_of(ChatTemplate::load(folder.path(), (folder.path() / "other.jinja").string())) ==
               "<s>from an option");
}

BOOST_AUTO_TEST_CASE(list_of_templates_has_one_for_tools) {
    const json::array list{
        json::object{{"name", "tool_use"}, {"template", "{# <tool_call> #}{{ tools | length }} tools"}},
        json::object{{"name", "default"}, {"template", "no tools"}},
        json::object{{"name", "rag"}, {"template", "{% not parsed"}}};
    BOOST_TEST(text_of(check(list)) == "no tools");
    TemplateInputs inputs;
    inputs.tools = {json::object{{"type", "function"}}};
    BOOST_TEST(text_of(check(list), hello, PromptEnd::assistant_turn, inputs) == "1 tools");
    check_refused(check(json::array{list[0]}), {"tokenizer_config.json", "default", "--chat-template"});
    check_refused(check(json::array{"x"}), {"tokenizer_config.json", "a name and a template"});
}

BOOST_AUTO_TEST_CASE(template_for_tools_may_be_a_file_beside_the_template) {
    const ModelFolder folder;
    folder.write_text("chat_template.jinja", "no tools");
    std::filesystem::create_directory(folder.path() / "additional_chat_templates");
    folder.write_text("additional_chat_templates/tool_use.jinja",
                      "{# <tool_call> #}{{ tools | length }} tools");
    folder.write_text("additional_chat_templates/rag.jinja", "{% not parsed");
    const auto loaded = ChatTemplate::load(folder.path(), std::nullopt);
    BOOST_TEST(text_of(loaded) == "no tools");
    TemplateInputs inputs;
    inputs.tools = {json::object{{"type", "function"}}};
    BOOST_TEST(text_of(loaded, hello, PromptEnd::assistant_turn, inputs) == "1 tools");
    folder.write_text("additional_chat_templates/tool_use.jinja", "{% not parsed");
    check_refused(ChatTemplate::load(folder.path(), std::nullopt), {"tool_use.jinja", "line 1"});
}

BOOST_AUTO_TEST_CASE(continued_message_is_not_looked_for_in_the_text_of_the_template) {
    const ModelFolder folder;
    const auto chatml = ChatTemplate::load(folder.path(), "chatml");
    for (const std::string content : {"<", "end", "|", "m_end|>"}) {
        const std::vector<ChatMessage> messages{{Role::user, "end"}, {Role::assistant, content}};
        BOOST_TEST(text_of(chatml, messages, PromptEnd::continued_message) ==
                   "<|im_start|>user\nend<|im_end|>\n<|im_start|>assistant\n" + content);
    }
    // SOLAR's template asks for an answer only after a message.
    BOOST_TEST(text_of(ChatTemplate::solar(), {{Role::assistant, ""}}, PromptEnd::continued_message) ==
               "### Assistant:\n");
    for (const std::string content : {"", " \n"}) {
        const std::vector<ChatMessage> messages{{Role::user, "Hi"}, {Role::assistant, content}};
        BOOST_TEST(text_of(chatml, messages, PromptEnd::continued_message) ==
                   "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    }
}

BOOST_AUTO_TEST_CASE(request_reaches_the_template) {
    TemplateInputs inputs;
    inputs.documents = {json::object{{"title", "T"}}};
    inputs.kwargs = {{"enable_thinking", true}};
    const auto shown =
        check("{{ documents[0].title }} {{ enable_thinking }} {{ tools }} {{ messages[0].name }}");
    BOOST_TEST(text_of(shown, {{Role::user, "Hi", "Ann"}}, PromptEnd::assistant_turn, inputs) ==
               "T True None Ann");
    BOOST_TEST(text_of(check("{{ add_generation_prompt }}"), hello, PromptEnd::last_message) == "False");
}

BOOST_AUTO_TEST_CASE(special_tokens_are_those_of_the_configuration) {
    const json::object config{
        {"chat_template", "{{ bos_token }}|{{ eos_token }}|{{ unk_token }}|{{ pad_token }}"}};
    json::object named = config;
    named["bos_token"] = json::object{{"content", "<|begin|>"}};
    named["eos_token"] = nullptr;
    json::object other = config;
    other["tokenizer_class"] = "PreTrainedTokenizerFast";
    BOOST_TEST(text_of(load(config)) == "<s>|</s>|<unk>|");
    BOOST_TEST(text_of(load(named)) == "<|begin|>||<unk>|");
    BOOST_TEST(text_of(load(other)) == "|||");
}

BOOST_AUTO_TEST_CASE(answer_continues_the_last_message) {
    const auto ends = check("{% for m in messages %}<{{ m.content | trim }}>\n{% endfor %}");
    const std::vector<ChatMessage> open{{Role::user, "a b"}, {Role::assistant, " a b "}};
    BOOST_TEST(text_of(ends, open, PromptEnd::continued_message) == "<a b>\n<a b");
    BOOST_TEST(text_of(ends, open, PromptEnd::last_message) == "<a b>\n<a b>\n");
    const auto keeps = check("{% for m in messages %}<{{ m.content }}>{% endfor %}");
    BOOST_TEST(text_of(keeps, open, PromptEnd::continued_message) == "<a b>< a b ");
    const auto hides = check("nothing");
    require_accepted(hides);
    check_refused(hides->render(open, PromptEnd::continued_message), {"cannot continue"},
                  errc::invalid_request);
}

BOOST_AUTO_TEST_CASE(folder_without_template_serves_no_chats) {
    const ModelFolder folder;
    for (const char* config : {"", "{}", R"({"chat_template": null})"}) {
        if (*config != '\0') folder.write_text("tokenizer_config.json", config);
        const auto none = ChatTemplate::load(folder.path(), {});
        require_accepted(none);
        BOOST_TEST(!none->exists());
        check_refused(none->render(hello), {"no chat template", "--chat-template"}, errc::invalid_request);
    }
    BOOST_TEST(text_of(ChatTemplate::load(folder.path(), "solar")) == "### User:\nHi\n\n### Assistant:\n");
}

BOOST_AUTO_TEST_CASE(faulty_template_is_refused_with_its_place) {
    check_refused(check("{% for m in messages %}\n{{ m.content }"),
                  {"tokenizer_config.json", "line 2", "column"});
    check_refused(check("ab{% include 'x' %}"),
                  {"line 1, column 6", "'include' is not supported", "--chat-template"});
    check_refused(check(7), {"tokenizer_config.json", "a string or a list"});
    const ModelFolder folder;
    folder.write_text("tokenizer_config.json", "{");
    check_refused(ChatTemplate::load(folder.path(), {}), {"tokenizer_config.json", "JSON"});
    folder.write_text("tokenizer_config.json", "{}");
    folder.write_text("chat_template.jinja", "{{ 1 +");
    check_refused(ChatTemplate::load(folder.path(), {}), {"chat_template.jinja", "line 1"});
    folder.write_text("chat_template.jinja", "\xFF");
    check_refused(ChatTemplate::load(folder.path(), {}), {"chat_template.jinja", "UTF-8"});
}

BOOST_AUTO_TEST_CASE(override_is_a_file_or_a_built_in_name) {
    require_accepted(check("unknown", "solar"));
    for (const char* name : {"no-such-template", ""})
        check_refused(check(json::value(published), name),
                      {"--chat-template", "solar, chatml, llama2, llama3, mistral, zephyr, vicuna"},
                      errc::bad_configuration);
}

BOOST_AUTO_TEST_CASE(names_of_the_server_are_reserved) {
    for (const auto* name : {"messages", "tools", "bos_token", "eos_token", "raise_exception", "range"})
        BOOST_TEST(ChatTemplate::is_reserved(name), name);
    BOOST_TEST(!ChatTemplate::is_reserved("enable_thinking"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
