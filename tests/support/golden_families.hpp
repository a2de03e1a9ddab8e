// The checkpoints and greedy answers that tests/golden/make_families.py has made with Hugging Face
// transformers.
#pragma once

#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "inference/request.hpp"
#include "tests/support/engine_run.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/hashed_model.hpp"

namespace solard {

struct GoldenFamily {
    std::string name;
    boost::json::object facts;

    std::string text(std::string_view key) const { return boost::json::value_to<std::string>(facts.at(key)); }
    DType dtype() const { return facts.at("dtype") == "bfloat16" ? DType::bf16 : DType::fp16; }
    // The prompts of a family without a tokenizer.
    std::vector<std::vector<TokenId>> prompts() const {
        return boost::json::value_to<std::vector<std::vector<TokenId>>>(facts.at("prompts"));
    }
    // Each answer ends before the first token that transformers chose with a small margin. It may be empty.
    std::vector<std::vector<TokenId>> answers() const {
        return boost::json::value_to<std::vector<std::vector<TokenId>>>(facts.at("answers"));
    }
    // Writes config.json, as transformers saved it, and the weights.
    void write_to(const ModelFolder& folder) const {
        folder.write_text("config.json", boost::json::serialize(facts.at("config")));
        write_hashed_model(folder, load_model_config(folder.path()).value(), dtype(), 1,
                           facts.at("head_shift").to_number<int>());
        folder.write_text("config.json", boost::json::serialize(facts.at("config")));
    }
};

// The contents of tests/golden/families.json.
struct GoldenFamilies {
    GoldenFamilies() {
        const auto path = std::filesystem::path(SOLARD_SOURCE_DIR) / "tests" / "golden" / "families.json";
        const boost::json::value file = boost::json::parse(Golden::read_file(path));
        conversations = file.at("conversations").as_array();
        for (const auto& [name, facts] : file.at("families").as_object())
            families.push_back({std::string(name), facts.as_object()});
    }

    const GoldenFamily& named(std::string_view name) const {
        const auto found = std::ranges::find(families, name, &GoldenFamily::name);
        BOOST_REQUIRE_MESSAGE(found != families.end(), "families.json has no " << name);
        return *found;
    }

    boost::json::array conversations;  // of the families with a tokenizer, in the order of their answers
    std::vector<GoldenFamily> families;
};

// Generates as many tokens as each expected answer has, all of them at the same time. Returns the answers,
// which must have the expected tokens.
inline std::vector<Answer> check_answers(Backend& backend, const Tokenizer& tokenizer,
                                         const std::vector<std::vector<TokenId>>& prompts,
                                         const std::vector<std::vector<TokenId>>& expected) {
    const BackendCapacity capacity = backend.capacity();
    EngineRun run(backend, tokenizer,
                  {.max_num_seqs = 8,
                   .max_num_batched_tokens = capacity.max_tokens_per_step,
                   .num_blocks = capacity.num_blocks,
                   .max_model_len = capacity.max_model_len,
                   .hash_key = {1, 2}});
    BOOST_REQUIRE_EQUAL(prompts.size(), expected.size());
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        if (expected[i].empty()) continue;
        Request request;
        request.id = i + 1;
        request.prompt = prompts[i];
        request.max_tokens = static_cast<std::int32_t>(expected[i].size());
        request.sampling.temperature = 0;
        run.submit(std::move(request));
    }
    run.run();
    std::vector<Answer> answers;
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        answers.push_back(run.answers[{i + 1, 0}]);
        BOOST_TEST_CONTEXT("answer " << i)
        BOOST_TEST(answers.back().tokens == expected[i], boost::test_tools::per_element());
    }
    return answers;
}

}  // namespace solard
