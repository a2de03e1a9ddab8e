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

void copy_demo_model(const ModelFolder& folder) {
    for (const auto& entry : std::filesystem::directory_iterator(demo_model))
        std::filesystem::copy(entry.path(), folder.path() / entry.path().filename());
}

void replace_in(const ModelFolder& folder, const char* file, std::string_view before,
                std::string_view after) {
    std::string text = text_of(folder.path() / file);
    const std::size_t at = text.find(before);
    BOOST_REQUIRE(at != std::string::npos);
    folder.write_text(file, text.replace(at, before.size(), after));
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
    copy_demo_model(folder);
    replace_in(folder, "config.json", "\"bos_token_id\": 1", "\"bos_token_id\": 5");
    check_refused(open_checkpoint(folder.path(), {}), {"config.json", "bos_token_id is 5", "expected 1"});
}

BOOST_AUTO_TEST_CASE(everything_that_is_wrong_is_said_at_once) {
    const ModelFolder folder;
    copy_demo_model(folder);
    const auto lines_of = [&] {
        const auto outcome = open_checkpoint(folder.path(), {});
        BOOST_REQUIRE(outcome.has_error());
        BOOST_TEST((outcome.error().code == errc::bad_model));
        std::vector<std::string> lines;
        std::istringstream text(outcome.error().message);
        for (std::string line; std::getline(text, line);) lines.push_back(line);
        return lines;
    };
    const auto contains = [](const std::string& line, std::string_view part) {
        return line.find(part) != std::string::npos;
    };
    const auto weights = folder.path() / "model-00001-of-00002.safetensors";
    std::filesystem::resize_file(weights, std::filesystem::file_size(weights) - 2);
    folder.write_text("tokenizer.model", "damaged");
    folder.write_text("chat_template.jinja", "{% for %}");
    const auto with_config = lines_of();
    BOOST_REQUIRE(with_config.size() == 3U);
    BOOST_TEST(contains(with_config[0], "model-00001-of-00002.safetensors"));
    BOOST_TEST(contains(with_config[1], "tokenizer.model"));
    BOOST_TEST(contains(with_config[2], "chat_template.jinja"));

    // Without a configuration, the tokenizer cannot be checked.
    replace_in(folder, "config.json", "LlamaForCausalLM", "GPT2LMHeadModel");
    const auto without_config = lines_of();
    BOOST_REQUIRE(without_config.size() == 3U);
    BOOST_TEST(contains(without_config[0], "config.json"));
    BOOST_TEST(contains(without_config[1], "model-00001-of-00002.safetensors"));
    BOOST_TEST(contains(without_config[2], "chat_template.jinja"));
}

BOOST_AUTO_TEST_CASE(folder_that_cannot_be_served_gets_one_line) {
    const ModelFolder folder;
    folder.write_text("config.json", "{}");
    folder.write_text("pytorch_model.bin", "");
    check_refused(open_checkpoint(folder.path(), {}), {"pytorch_model*.bin"});
    check_refused(open_checkpoint(folder.path() / "nowhere", {}), {"nowhere", "is not a folder"});
}

BOOST_AUTO_TEST_CASE(parameters_of_a_tied_model_are_counted_as_they_are_used) {
    const ModelFolder folder;
    copy_demo_model(folder);
    const auto untied = open_checkpoint(folder.path(), {});
    require_accepted(untied);
    BOOST_TEST(!untied->lm_head_is_untied);
    replace_in(folder, "config.json", "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
    const auto own_head = open_checkpoint(folder.path(), {});
    require_accepted(own_head);
    BOOST_TEST(own_head->lm_head_is_untied);
    BOOST_TEST(own_head->config.num_parameters() == untied->config.num_parameters());
    BOOST_TEST(own_head->tensors.num_bytes == untied->tensors.num_bytes);

    // With a copy of the embedding as lm_head, the model is tied.
    const TensorInfo& embedding = *untied->tensors.embedding;
    const TensorInfo& lm_head = *untied->tensors.lm_head;
    const std::string source = text_of(untied->weights.file_of(embedding));
    const std::filesystem::path target = untied->weights.file_of(lm_head);
    std::string file = text_of(target);
    file.replace(lm_head.offset, lm_head.num_bytes, source.substr(embedding.offset, embedding.num_bytes));
    folder.write_text(target.filename().string(), file);
    const auto tied = open_checkpoint(folder.path(), {});
    require_accepted(tied);
    BOOST_TEST(!tied->lm_head_is_untied);
    BOOST_TEST(tied->tensors.num_bytes + lm_head.num_bytes == untied->tensors.num_bytes);
    BOOST_TEST(tied->config.num_parameters() < untied->config.num_parameters());
}

BOOST_AUTO_TEST_CASE(unknown_template_override_is_refused) {
    check_refused(open_checkpoint(demo_model, "no-such-template"),
                  {"--chat-template", "no-such-template", "chatml"}, errc::bad_configuration);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
