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

AppConfig options(const fs::path& folder, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--model", folder.string()});
    return parse_app_config(more, {}).value();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(served_model)

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
