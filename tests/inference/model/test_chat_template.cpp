#include "inference/model/chat_template.hpp"

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <vector>

#include "tests/support/check_refused.hpp"
#include "tests/support/model_folder.hpp"

namespace solard {
namespace {

namespace json = boost::json;

std::string rendered(const std::vector<ChatMessage>& messages) {
    return ChatTemplate::solar().render(messages);
}

// The template as its author published it.
const std::string published =
    "{% for message in messages %}{% if message['role'] == 'system' %}{% if message['content']%}"
    "{{'### System:\\n' + message['content']+'\\n\\n'}}{% endif %}{% elif message['role'] == 'user' %}"
    "{{'### User:\\n' + message['content']+'\\n\\n'}}{% elif message['role'] == 'assistant' %}"
    "{{'### Assistant:\\n'  + message['content']}}{% endif %}"
    "{% if loop.last and add_generation_prompt %}{{ '### Assistant:\\n' }}{% endif %}{% endfor %}";

result<ChatTemplate> check(const json::value& chat_template,
                           const std::optional<std::string>& override_name = {}) {
    const ModelFolder folder;
    folder.write_text("tokenizer_config.json",
                      json::serialize(json::object{{"chat_template", chat_template}}));
    return ChatTemplate::load(folder.path(), override_name);
}

std::string with(std::string text, std::string_view from, std::string_view to) {
    const std::size_t at = text.find(from);
    BOOST_REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
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
    BOOST_TEST(rendered({{Role::user, " </s>{{ x }}\n### User:\n "}}) ==
               "### User:\n </s>{{ x }}\n### User:\n \n\n### Assistant:\n");
}

BOOST_AUTO_TEST_CASE(published_template_is_accepted) {
    require_accepted(check(json::value(published)));
    require_accepted(ChatTemplate::load(std::filesystem::path(SOLARD_SOURCE_DIR) / "config/demo-model", {}));
}

BOOST_AUTO_TEST_CASE(white_space_outside_literals_is_ignored) {
    require_accepted(
        check(json::value(with(published, "'### Assistant:\\n'  + message", "'### Assistant:\\n'+message"))));
    require_accepted(check(json::value(with(published, "{% endif %}{% elif", "{%endif%}\n\t {%  elif"))));
    require_accepted(check(json::value("\r\n" + published + "\n")));
}

BOOST_AUTO_TEST_CASE(every_other_template_is_refused) {
    for (const std::string& text :
         {with(published, "### System:", "### System :"), with(published, "\\n\\n", "\\n"),
          with(published, "'system'", "'system '"), with(published, "\\n", "\n"),
          with(published, "### User:", "### Human:"), published + "x", std::string(),
          published.substr(0, published.size() - 1),
          with(published, "' }}{% endif %}", "' + '' }}{% endif %}")}) {
        check_refused(check(json::value(text)),
                      {"tokenizer_config.json", "chat_template", "--chat-template solar"});
    }
}

BOOST_AUTO_TEST_CASE(folder_without_template_is_refused) {
    const ModelFolder folder;
    check_refused(ChatTemplate::load(folder.path(), {}),
                  {"tokenizer_config.json", "missing", "--chat-template solar"});
    folder.write_text("tokenizer_config.json", "{}");
    check_refused(ChatTemplate::load(folder.path(), {}),
                  {"tokenizer_config.json", "no chat_template", "--chat-template solar"});
    folder.write_text("tokenizer_config.json", "{");
    check_refused(ChatTemplate::load(folder.path(), {}), {"tokenizer_config.json", "JSON"});
    check_refused(check(json::array{published}), {"tokenizer_config.json", "--chat-template solar"});
    check_refused(check(nullptr), {"tokenizer_config.json", "--chat-template solar"});
}

BOOST_AUTO_TEST_CASE(override_is_used_if_given) {
    const ModelFolder empty;
    require_accepted(ChatTemplate::load(empty.path(), "solar"));
    require_accepted(check(json::value("unknown"), "solar"));
    check_refused(check(json::value(published), "chatml"), {"--chat-template", "chatml", "solar"},
                  errc::bad_configuration);
    check_refused(check(json::value(published), ""), {"--chat-template"}, errc::bad_configuration);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
