// The CPU backend against Hugging Face transformers: tests/golden/make_golden.py made the logits.
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
#include "tests/support/batch_builder.hpp"
#include "tests/support/hashed_model.hpp"

using namespace solard;

namespace {

namespace json = boost::json;

const std::filesystem::path source_dir = SOLARD_SOURCE_DIR;

struct GoldenSequence {
    std::vector<TokenId> tokens;
    std::vector<std::size_t> positions;  // of the rows of logits, ascending
};

struct Golden {
    explicit Golden(const std::string& name) {
        const auto folder = source_dir / "tests" / "golden";
        facts = json::parse(read_file(folder / (name + ".json"))).as_object();
        for (const json::value& sequence : facts.at("sequences").as_array()) {
            sequences.push_back({json::value_to<std::vector<TokenId>>(sequence.at("tokens")),
                                 json::value_to<std::vector<std::size_t>>(sequence.at("positions"))});
        }
        const std::string bytes = read_file(folder / (name + ".f32"));
        logits.resize(bytes.size() / sizeof(float));
        std::memcpy(logits.data(), bytes.data(), logits.size() * sizeof(float));
    }

    static std::string read_file(const std::filesystem::path& path) {
        std::ifstream file(path, std::ios::binary);
        BOOST_REQUIRE_MESSAGE(file, "cannot read " << path);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    double number(std::string_view key) const { return facts.at(key).as_double(); }

    json::object facts;
    std::vector<GoldenSequence> sequences;
    std::vector<float> logits;  // [rows of all sequences, vocab]
};

std::size_t best_of(std::span<const float> row) {
    return static_cast<std::size_t>(std::ranges::max_element(row) - row.begin());
}

float margin_of(std::span<const float> row) {
    std::vector<float> sorted(row.begin(), row.end());
    std::partial_sort(sorted.begin(), sorted.begin() + 2, sorted.end(), std::greater<>());
    return sorted[0] - sorted[1];
}

// Logits at the golden positions: each prompt in two chunks, so that the second reads the cache.
std::vector<float> run_sequences(CpuBackend& backend, const Golden& golden, std::size_t vocab) {
    std::vector<float> logits;
    for (const GoldenSequence& golden_sequence : golden.sequences) {
        TestSequence sequence{golden_sequence.tokens, {}};
        const std::size_t length = sequence.tokens.size();
        for (std::int32_t block = 0; block * kv_block_size < static_cast<std::int32_t>(length); ++block) {
            sequence.blocks.insert(sequence.blocks.begin(), block);
        }
        std::vector<float> all(length * vocab);
        for (const auto& [begin, end] : {std::pair{std::size_t{0}, length / 2}, {length / 2, length}}) {
            ForwardBatch batch;
            batch.block_table_stride = static_cast<std::int32_t>(sequence.blocks.size());
            add_chunk(batch, sequence, begin, end, begin);
            StepResults results;
            backend.submit(batch);
            backend.collect(results);
            std::ranges::copy(backend.logits(), all.begin() + static_cast<std::ptrdiff_t>(begin * vocab));
        }
        for (const std::size_t position : golden_sequence.positions) {
            const auto row = all.begin() + static_cast<std::ptrdiff_t>(position * vocab);
            logits.insert(logits.end(), row, row + static_cast<std::ptrdiff_t>(vocab));
        }
    }
    return logits;
}

void check_against(const Golden& golden, const std::vector<float>& logits, std::size_t vocab) {
    BOOST_REQUIRE_EQUAL(logits.size(), golden.logits.size());
    double difference = 0;
    double magnitude = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        difference += std::pow(double{logits[i]} - double{golden.logits[i]}, 2);
        magnitude += std::pow(double{golden.logits[i]}, 2);
    }
    const double error = std::sqrt(difference / magnitude);
    BOOST_TEST_MESSAGE("relative L2 " << error << ", transformers in 16 bits "
                                      << golden.number("half_error"));
    BOOST_TEST(error <= 1e-2);
    BOOST_TEST(error <= 2 * golden.number("half_error"));

    // Where the reference prefers one token by more than 16-bit arithmetic can blur, so must we.
    std::size_t compared = 0;
    const std::size_t rows = logits.size() / vocab;
    for (std::size_t row = 0; row < rows; ++row) {
        const std::span expected(golden.logits.data() + row * vocab, vocab);
        if (double{margin_of(expected)} <= golden.number("half_max_error")) continue;
        ++compared;
        BOOST_TEST(best_of({logits.data() + row * vocab, vocab}) == best_of(expected));
    }
    BOOST_TEST(compared * 2 >= rows, "most rows have a clear winner");
}

// Both kernel paths of one folder.
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

// Empty where the file cannot be read.
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

BOOST_AUTO_TEST_CASE(the_demonstration_model) {
    const Golden golden("demo");
    const auto folder = source_dir / "config" / "demo-model";
    for (const auto& file : golden.facts.at("sha256").as_object()) {
        BOOST_REQUIRE_MESSAGE(sha256_of(folder / std::string(file.key())) == file.value().as_string(),
                              "config/demo-model/"
                                  << file.key()
                                  << " is not the file the golden logits were made from; run: "
                                     "python tests/golden/make_golden.py demo");
    }
    check_folder(golden, folder);
}

BOOST_AUTO_TEST_CASE(grouped_heads_untied_bf16_in_two_shards) {
    check_hashed("small_gqa");
}

BOOST_AUTO_TEST_CASE(one_kv_head_per_head_tied_fp16) {
    check_hashed("small_mha");
}

BOOST_AUTO_TEST_CASE(one_layer_of_the_exact_shape_of_solar) {
    check_hashed("solar_layer");
}

BOOST_AUTO_TEST_SUITE_END()
