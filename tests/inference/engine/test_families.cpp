// Tests the whole way from a conversation to the text of the answer, for small checkpoints of the families in
// tests/golden/make_families.py: config.json as transformers saved it, the family's tokenizer, the prompt of
// its chat template, and the greedy tokens of the forward pass.
#include <boost/test/unit_test.hpp>

#include "inference/cpu/cpu_backend.hpp"
#include "inference/model/chat_template.hpp"
#include "inference/model/tokenizer.hpp"
#include "tests/support/check_refused.hpp"
#include "tests/support/golden_families.hpp"

using namespace solard;

namespace {

const GoldenFamilies& golden() {
    static const GoldenFamilies families;
    return families;
}

std::vector<ChatMessage> messages_in(const boost::json::value& conversation) {
    std::vector<ChatMessage> messages;
    for (const auto& message : conversation.as_array()) {
        const auto& role = message.at("role").as_string();
        messages.push_back({role == "user"     ? Role::user
                            : role == "system" ? Role::system
                                               : Role::assistant,
                            boost::json::value_to<std::string>(message.at("content"))});
    }
    return messages;
}

CpuBackend make_backend(const LoadedModel& model, DType compute_type) {
    CpuBackendOptions options;
    options.compute_type = compute_type;
    options.kv_cache_bytes = std::size_t{4} << 20;
    options.max_model_len = 1024;
    options.max_tokens_per_step = 256;
    return {model.source, model.tensors, model.config, options};
}

std::size_t num_tokens(const std::vector<std::vector<TokenId>>& answers) {
    std::size_t count = 0;
    for (const auto& answer : answers) count += answer.size();
    return count;
}

void check_family(const GoldenFamily& family) {
    const ModelFolder folder;
    family.write_to(folder);
    const std::filesystem::path tokenizers = SOLARD_SOURCE_DIR "/tests/tokenizers/data";
    for (const auto& file : std::filesystem::directory_iterator(tokenizers / family.text("tokenizer")))
        std::filesystem::copy_file(file, folder.path() / file.path().filename());
    const LoadedModel model(folder.path());
    const auto tokenizer = Tokenizer::load(folder.path(), model.config.vocab_size);
    require_accepted(tokenizer);
    const auto chat_template = ChatTemplate::load(folder.path(), family.text("template"));
    require_accepted(chat_template);

    std::vector<std::vector<TokenId>> prompts;
    for (const auto& conversation : golden().conversations) {
        const auto prompt = chat_template->render(messages_in(conversation));
        require_accepted(prompt);
        const auto ids = tokenizer->encode_chat(*prompt, false);
        require_accepted(ids);
        prompts.push_back(*ids);
    }
    const auto expected = family.answers();
    BOOST_TEST(num_tokens(expected) >= 50U);
    CpuBackend backend = make_backend(model, family.dtype());
    const auto answers = check_answers(backend, *tokenizer, prompts, expected);
    std::size_t num_texts = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const auto text = boost::json::value_to<std::string>(family.facts.at("texts").at(i));
        // In transformers, one byte that is not UTF-8 also spoils the characters next to it.
        if (expected[i].empty() || text.find("\ufffd") != std::string::npos) continue;
        ++num_texts;
        // transformers strips the first space of a decoded text. In an answer, this space is the model's.
        BOOST_TEST((answers[i].text == text || answers[i].text == " " + text),
                   "answer " << i << " is \"" << answers[i].text << "\", expected \"" << text << '"');
    }
    BOOST_TEST(num_texts >= 1U);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(families)

BOOST_AUTO_TEST_CASE(every_family_gives_the_greedy_answers_of_transformers) {
    std::size_t count = 0;
    for (const GoldenFamily& family : golden().families) {
        if (!family.facts.contains("tokenizer")) continue;
        BOOST_TEST_CONTEXT(family.name) check_family(family);
        ++count;
    }
    BOOST_TEST(count == 11U);
}

BOOST_AUTO_TEST_CASE(vocabulary_of_llama_3_gives_the_greedy_answers_of_transformers) {
    const GoldenFamily& family = golden().named("llama31_full_vocabulary");
    const ModelFolder folder;
    family.write_to(folder);
    const LoadedModel model(folder.path());
    BOOST_TEST(model.config.vocab_size == 128256);
    BOOST_TEST(num_tokens(family.answers()) >= 30U);
    CpuBackend backend = make_backend(model, family.dtype());
    const auto tokenizer = Tokenizer::load(SOLARD_SOURCE_DIR "/config/demo-model", 1 << 20);
    check_answers(backend, tokenizer.value(), family.prompts(), family.answers());
}

BOOST_AUTO_TEST_SUITE_END()
