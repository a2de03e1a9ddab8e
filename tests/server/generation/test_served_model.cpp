#include "server/generation/served_model.hpp"

#include <boost/test/unit_test.hpp>

#include "server/config/parse_config.hpp"
#include "tests/support/model_folder.hpp"

namespace solard::server {
namespace {

namespace fs = std::filesystem;

// The sizes of SOLAR-10.7B.
ModelConfig solar_config() {
    ModelConfig config;
    config.vocab_size = 32000;
    config.hidden_size = 4096;
    config.intermediate_size = 14336;
    config.num_layers = 48;
    config.num_heads = 32;
    config.num_kv_heads = 8;
    config.head_dim = 128;
    config.max_position_embeddings = 4096;
    return config;
}

ModelConfig small_config() {
    ModelConfig config;
    config.max_position_embeddings = 1;
    return config;
}

AppConfig options(const fs::path& folder, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--model", folder.string()});
    return parse_app_config(more, {}).value();
}

// Returns the template that the folder would have with this chat_template.jinja, or without any.
ChatTemplate template_of(const ModelFolder& folder, std::string_view text) {
    folder.write_text("chat_template.jinja", text);
    return ChatTemplate::load(folder.path(), {}).value();
}

std::string main_name(const AppConfig& config, const ModelConfig& model, const ChatTemplate& chat_template) {
    return describe_model(config, model, chat_template).value().names.front();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(served_model)

BOOST_AUTO_TEST_CASE(solars_public_name_needs_its_configuration_and_its_template) {
    const ModelFolder folder;
    const std::string own_name = folder.path().filename().string();
    const AppConfig config = options(folder.path());
    const std::string solar = "upstage/solar-10.7b-instruct";
    BOOST_TEST(main_name(config, solar_config(), ChatTemplate::solar()) == solar);
    // The demonstration model has the template as it was published, which is spelled differently.
    const auto published = ChatTemplate::load(SOLARD_SOURCE_DIR "/config/demo-model", {}).value();
    BOOST_TEST(main_name(config, solar_config(), published) == solar);

    const auto chatml = ChatTemplate::load(folder.path(), "chatml").value();
    BOOST_TEST(main_name(config, solar_config(), chatml) == own_name);
    const auto refusing = template_of(folder, "{{ raise_exception('no') }}");
    BOOST_TEST(main_name(config, solar_config(), refusing) == own_name);
    const ModelFolder base;  // without a template
    BOOST_TEST(main_name(options(base.path()), solar_config(), ChatTemplate::load(base.path(), {}).value()) ==
               base.path().filename().string());
    // The base model does not become the other one by its option.
    BOOST_TEST(main_name(options(base.path(), {"--chat-template", "solar"}), solar_config(),
                         ChatTemplate::solar()) == base.path().filename().string());
    ModelConfig larger = solar_config();
    larger.vocab_size = 32001;
    BOOST_TEST(main_name(config, larger, ChatTemplate::solar()) == own_name);
}

BOOST_AUTO_TEST_CASE(folder_of_the_cache_has_the_name_under_which_it_was_published) {
    const ModelFolder cache;
    const auto name_of = [&](const fs::path& folder) {
        fs::create_directories(cache.path() / folder);
        return main_name(options(cache.path() / folder), small_config(), ChatTemplate::solar());
    };
    BOOST_TEST(name_of("models--mistralai--Mistral-7B-v0.1/snapshots/0a1b") == "mistralai/Mistral-7B-v0.1");
    BOOST_TEST(name_of("models--a--b--c/snapshots/0a1b") == "a/b--c");
    BOOST_TEST(name_of("models--gpt2/snapshots/0a1b") == "gpt2");
    BOOST_TEST(name_of("models--a--b/other/0a1b") == "0a1b");
    BOOST_TEST(name_of("mine/snapshots/0a1b") == "0a1b");
    BOOST_TEST(name_of("My-Model") == "My-Model");
    fs::create_directory_symlink(cache.path() / "models--gpt2/snapshots/0a1b", cache.path() / "link");
    BOOST_TEST(main_name(options(cache.path() / "link"), small_config(), ChatTemplate::solar()) == "gpt2");
}

BOOST_AUTO_TEST_CASE(option_sets_the_names_of_any_folder) {
    const ModelFolder folder;
    const auto model =
        describe_model(options(folder.path(), {"--served-model-name", "a", "--served-model-name", "b"}),
                       solar_config(), ChatTemplate::solar())
            .value();
    BOOST_TEST(model.names == (std::vector<std::string>{"a", "b"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(context_is_chosen_by_the_option_and_limited_by_the_model) {
    const ModelFolder folder;
    const auto described = [&](const std::string& length) {
        return describe_model(options(folder.path(), {"--max-model-len", length}), solar_config(),
                              ChatTemplate::solar());
    };
    BOOST_TEST(described("0").value().context_length == 4096);
    BOOST_TEST(described("100").value().context_length == 100);
    const auto refused = described("8192");
    BOOST_REQUIRE(refused.has_error());
    BOOST_TEST(exit_code(refused.error().code) == 78);
    BOOST_TEST(refused.error().message.find("at most 4096") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(bound_of_an_answer_is_the_requests_or_else_the_models) {
    ServedModel model;
    GenerationFields fields;
    BOOST_TEST(model.token_bound(fields) == max_token_count);
    model.config.generation.max_new_tokens = 20;
    BOOST_TEST(model.token_bound(fields) == 20);
    fields.sampling.min_tokens = 30;
    BOOST_TEST(model.token_bound(fields) == 30);
    fields.max_tokens = 40;
    BOOST_TEST(model.token_bound(fields) == 40);
    fields.max_tokens = static_cast<std::int32_t>(max_token_count);  // a request with -1
    BOOST_TEST(model.token_bound(fields) == max_token_count);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
