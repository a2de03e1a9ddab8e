// Compares a backend's logits with golden logits. tests/golden/make_golden.py has computed the golden logits
// with Hugging Face transformers.
#pragma once

#include <algorithm>
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "inference/backend.hpp"
#include "tests/support/batch_builder.hpp"
#include "tests/support/plain_sampler.hpp"

namespace solard {

struct GoldenSequence {
    std::vector<TokenId> tokens;
    std::vector<std::size_t> positions;  // of the golden logits, ascending
};

struct Golden {
    explicit Golden(const std::string& name) {
        const auto folder = std::filesystem::path(SOLARD_SOURCE_DIR) / "tests" / "golden";
        facts = boost::json::parse(read_file(folder / (name + ".json"))).as_object();
        for (const boost::json::value& sequence : facts.at("sequences").as_array()) {
            sequences.push_back({boost::json::value_to<std::vector<TokenId>>(sequence.at("tokens")),
                                 boost::json::value_to<std::vector<std::size_t>>(sequence.at("positions"))});
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

    boost::json::object facts;
    std::vector<GoldenSequence> sequences;
    std::vector<float> logits;  // [rows of all sequences, vocab]
};

inline std::size_t best_of(std::span<const float> row) {
    return static_cast<std::size_t>(std::ranges::max_element(row) - row.begin());
}

inline float margin_of(std::span<const float> row) {
    std::vector<float> sorted(row.begin(), row.end());
    std::partial_sort(sorted.begin(), sorted.begin() + 2, sorted.end(), std::greater<>());
    return sorted[0] - sorted[1];
}

// Returns the logits at the golden positions. Each prompt runs in two chunks, so that the second chunk reads
// the KV cache. The backend must have a member logits() for the logits of its last step.
template <class BackendWithLogits>
std::vector<float> run_sequences(BackendWithLogits& backend, const Golden& golden, std::size_t vocab) {
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
            const auto& step = backend.logits();
            std::ranges::copy(step, all.begin() + static_cast<std::ptrdiff_t>(begin * vocab));
        }
        for (const std::size_t position : golden_sequence.positions) {
            const auto row = all.begin() + static_cast<std::ptrdiff_t>(position * vocab);
            logits.insert(logits.end(), row, row + static_cast<std::ptrdiff_t>(vocab));
        }
    }
    return logits;
}

inline void check_against(const Golden& golden, const std::vector<float>& logits, std::size_t vocab) {
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

    // If the reference's best token leads by more than the error of 16-bit arithmetic, the backend's best
    // token must be the same.
    std::size_t compared = 0;
    const std::size_t rows = logits.size() / vocab;
    for (std::size_t row = 0; row < rows; ++row) {
        const std::span expected(golden.logits.data() + row * vocab, vocab);
        if (double{margin_of(expected)} <= golden.number("half_max_error")) continue;
        ++compared;
        BOOST_TEST(best_of({logits.data() + row * vocab, vocab}) == best_of(expected));
    }
    BOOST_TEST(compared * 2 >= rows, "at least half of the rows must have a clear best token");
}

// Compares the log-probabilities of the tokens at the golden positions, and of 20 alternatives of each, with
// those that follow from the golden logits. Both bounds are twice the error that transformers' own logits
// have in 16 bits: in the root mean square, and at most.
inline void check_scores_against(const Golden& golden, Backend& backend, std::size_t vocab) {
    double squares = 0;
    double count = 0;
    double largest = 0;
    std::size_t golden_row = 0;
    for (const GoldenSequence& golden_sequence : golden.sequences) {
        TestSequence sequence{golden_sequence.tokens, {}};
        const std::size_t length = sequence.tokens.size();
        for (std::int32_t block = 0; block * kv_block_size < static_cast<std::int32_t>(length); ++block) {
            sequence.blocks.push_back(block);
        }
        ForwardBatch batch;
        batch.block_table_stride = static_cast<std::int32_t>(sequence.blocks.size());
        add_chunk(batch, sequence, 0, length, length);
        score_chunk(batch, sequence, 0, length, max_top_logprobs);
        StepResults results;
        backend.submit(batch);
        backend.collect(results);
        for (const std::size_t position : golden_sequence.positions) {
            const auto logits = golden.logits.begin() + static_cast<std::ptrdiff_t>(golden_row++ * vocab);
            if (position + 1 == length) continue;
            const std::vector<float> row(logits, logits + static_cast<std::ptrdiff_t>(vocab));
            const std::vector<double> expected = plain::log_softmax(row);
            constexpr std::size_t width = 1 + static_cast<std::size_t>(max_top_logprobs);
            const auto scores = std::span(results.scores).subspan(position * width, width);
            BOOST_TEST(scores[0].token == sequence.tokens[position + 1]);
            for (const RankedLogprob& score : scores) {
                const double logprob = expected[static_cast<std::size_t>(score.token)];
                squares += std::pow(score.logprob - logprob, 2);
                ++count;
                largest = std::max(largest, std::abs(score.logprob - logprob));
            }
            if (double{margin_of(row)} <= golden.number("half_max_error")) continue;
            BOOST_TEST(static_cast<std::size_t>(scores[1].token) == best_of(row));
            BOOST_TEST((scores[0].rank == 1) == (scores[0].token == scores[1].token));
        }
    }
    double golden_squares = 0;
    for (const float logit : golden.logits) golden_squares += std::pow(double{logit}, 2);
    const double half_error =
        golden.number("half_error") * std::sqrt(golden_squares / static_cast<double>(golden.logits.size()));
    const double error = std::sqrt(squares / count);
    BOOST_TEST_MESSAGE("log-probabilities: error " << error << ", at most " << largest
                                                   << "; transformers' logits in 16 bits: " << half_error
                                                   << ", at most " << golden.number("half_max_error"));
    BOOST_TEST(error <= 2 * half_error);
    BOOST_TEST(largest <= 2 * golden.number("half_max_error"));
}

}  // namespace solard
