// Compares the logits of the CPU backend with those of Hugging Face transformers, which
// tests/golden/make_golden.py has stored.
#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

#include "inference/cpu/cpu_backend.hpp"
#include "tests/support/golden.hpp"
#include "tests/support/hashed_model.hpp"

using namespace solard;

namespace {

namespace json = boost::json;

const std::filesystem::path source_dir = SOLARD_SOURCE_DIR;

// Compares the logits of both kernel paths with the golden logits of one folder.
void check_folder(const Golden& golden, const std::filesystem::path& folder) {
    const LoadedModel model(folder);
    const auto vocab = static_cast<std::size_t>(model.config.vocab_size);
    for (const bool portable : {false, true}) {
        CpuBackendOptions options;
        options.compute_type = golden.facts.at("dtype").as_string() == "bfloat16" ? DType::bf16 : DType::fp16;
        options.num_threads = 2;
        options.kv_cache_bytes = std::size_t{16} << 20;
        options.max_model_len = 256;
        options.max_tokens_per_step = 64;
        options.force_portable = portable;
        CpuBackend backend(model.source, model.tensors, model.config, options);
        BOOST_TEST_MESSAGE(backend.description());
        check_against(golden, run_sequences(backend, golden, vocab), vocab);
        check_scores_against(golden, backend, vocab);
    }
}

void check_hashed(const std::string& name) {
    const Golden golden(name);
    const ModelFolder folder;
    folder.write_text("config.json", json::serialize(golden.facts.at("config")));
    const DType dtype = golden.facts.at("dtype").as_string() == "bfloat16" ? DType::bf16 : DType::fp16;
    write_hashed_model(folder, load_model_config(folder.path()).value(), dtype,
                       golden.facts.at("shards").to_number<int>());
    check_folder(golden, folder.path());
}

// Returns the SHA-256 of the file in hexadecimal, or an empty string if the file cannot be read.
std::string sha256_of(const std::filesystem::path& file) {
    const std::string command = "sha256sum '" + file.string() + "'";
    std::FILE* const pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) return {};
    std::array<char, 65> digest{};
    const std::size_t count = std::fread(digest.data(), 1, 64, pipe);
    ::pclose(pipe);
    return {digest.data(), count};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(golden_parity)

BOOST_AUTO_TEST_CASE(logits_of_the_demonstration_model_match) {
    const Golden golden("demo");
    const auto folder = source_dir / "config" / "demo-model";
    for (const auto& file : golden.facts.at("sha256").as_object()) {
        BOOST_REQUIRE_MESSAGE(sha256_of(folder / std::string(file.key())) == file.value().as_string(),
                              "config/demo-model/"
                                  << file.key()
                                  << " is not the file from which the golden logits were made; run: "
                                     "python tests/golden/make_golden.py demo");
    }
    check_folder(golden, folder);
}

BOOST_AUTO_TEST_CASE(logits_match_with_grouped_heads_and_untied_bf16_in_two_shards) {
    check_hashed("small_gqa");
}

BOOST_AUTO_TEST_CASE(logits_match_with_one_kv_head_per_head_and_tied_fp16) {
    check_hashed("small_mha");
}

BOOST_AUTO_TEST_CASE(logits_of_one_layer_with_the_exact_shape_of_solar_match) {
    check_hashed("solar_layer");
}

BOOST_AUTO_TEST_SUITE_END()
