#include "inference/model/checkpoint.hpp"

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/support/check_refused.hpp"
#include "tests/support/model_folder.hpp"

namespace solard {
namespace {

const std::filesystem::path demo_model = std::filesystem::path(SOLARD_SOURCE_DIR) / "config/demo-model";

std::string text_of(const std::filesystem::path& file) {
    std::ostringstream text;
    text << std::ifstream(file).rdbuf();
    return text.str();
}

BOOST_AUTO_TEST_SUITE(checkpoint)

BOOST_AUTO_TEST_CASE(demonstration_model_opens) {
    const auto checkpoint = open_checkpoint(demo_model, {});
    require_accepted(checkpoint);
    BOOST_TEST(checkpoint->tensors.layers.size() == static_cast<std::size_t>(checkpoint->config.num_layers));
    BOOST_TEST(checkpoint->tokenizer.bos().value() == checkpoint->config.bos_token_id);
    BOOST_TEST(checkpoint->weights.find(checkpoint->tensors.embedding->name) ==
               checkpoint->tensors.embedding);
}

BOOST_AUTO_TEST_CASE(bos_token_of_config_and_tokenizer_must_agree) {
    const ModelFolder folder;
    for (const auto& entry : std::filesystem::directory_iterator(demo_model))
        std::filesystem::copy(entry.path(), folder.path() / entry.path().filename());
    std::string config = text_of(demo_model / "config.json");
    const std::string_view key = "\"bos_token_id\": 1";
    const std::size_t at = config.find(key);
    BOOST_REQUIRE(at != std::string::npos);
    folder.write_text("config.json", config.replace(at, key.size(), "\"bos_token_id\": 5"));
    check_refused(open_checkpoint(folder.path(), {}), {"config.json", "bos_token_id is 5", "expected 1"});
}

BOOST_AUTO_TEST_CASE(unknown_template_override_is_refused) {
    check_refused(open_checkpoint(demo_model, "no-such-template"),
                  {"--chat-template", "no-such-template", "chatml"}, errc::bad_configuration);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
