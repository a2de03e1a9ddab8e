// Prints the log-probabilities of a given text under a model. tests/gpu/parity.py compares the output with
// the output of transformers.
//
//   teacher_forced MODEL TOKENS DEVICE DTYPE
//
// TOKENS is a file of token ids, one sequence per line. DEVICE is cuda or cpu, DTYPE is bf16 or fp16. The
// output has one line for every token except the first token of each sequence: its log-probability and the id
// of the most likely token at its position.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>

#include "cuda/cuda_backend.hpp"
#include "inference/cpu/cpu_backend.hpp"
#include "inference/scheduling/sequence.hpp"
#include "tests/cuda/unit/device_library.hpp"
#include "tests/support/batch_builder.hpp"
#include "tests/support/hashed_model.hpp"

namespace solard {
namespace {

constexpr std::size_t chunk = 256;  // tokens per step, each with its logits

std::vector<std::vector<TokenId>> read_sequences(const char* path) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error(std::string(path) + " cannot be read");
    std::vector<std::vector<TokenId>> sequences;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::vector<TokenId> tokens;
        for (TokenId token = 0; words >> token;) tokens.push_back(token);
        if (tokens.size() > 1) sequences.push_back(std::move(tokens));
    }
    if (sequences.empty())
        throw std::runtime_error(std::string(path) + " has no sequences of two tokens or more");
    return sequences;
}

void print_token(std::span<const float> logits, TokenId token) {
    const auto best = std::ranges::max_element(logits);
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - *best);
    const double logprob =
        static_cast<double>(logits[static_cast<std::size_t>(token)]) - *best - std::log(sum);
    std::printf("%.9g %d\n", logprob, static_cast<int>(best - logits.begin()));
}

template <class BackendWithLogits>
void run(BackendWithLogits& backend, const std::vector<std::vector<TokenId>>& sequences, std::size_t vocab) {
    for (const std::vector<TokenId>& tokens : sequences) {
        TestSequence sequence{tokens, {}};
        for (std::int32_t i = 0; i < blocks_for(static_cast<std::int32_t>(tokens.size())); ++i) {
            sequence.blocks.push_back(i);
        }
        for (std::size_t begin = 0; begin + 1 < tokens.size(); begin += chunk) {
            const std::size_t end = std::min(begin + chunk, tokens.size() - 1);
            ForwardBatch batch;
            batch.block_table_stride = static_cast<std::int32_t>(sequence.blocks.size());
            add_chunk(batch, sequence, begin, end, begin);
            StepResults results;
            backend.submit(batch);
            backend.collect(results);
            const auto& logits = backend.logits();
            for (std::size_t row = 0; row < end - begin; ++row) {
                print_token(std::span<const float>(logits).subspan(row * vocab, vocab),
                            tokens[begin + row + 1]);
            }
        }
    }
}

int run(const char* folder, const char* tokens, const std::string& device, const std::string& dtype) {
    const auto sequences = read_sequences(tokens);
    const LoadedModel model(folder);
    const auto vocab = static_cast<std::size_t>(model.config.vocab_size);
    const auto set = [&](auto& options) {
        options.compute_type = dtype == "fp16" ? DType::fp16 : DType::bf16;
        options.max_model_len = model.config.max_position_embeddings;
        options.max_tokens_per_step = static_cast<std::int32_t>(chunk);
        options.max_seqs_per_step = static_cast<std::int32_t>(chunk);
    };
    if (device == "cpu") {
        CpuBackendOptions options;
        set(options);
        CpuBackend backend(model.source, model.tensors, model.config, options);
        run(backend, sequences, vocab);
        return 0;
    }
    cuda::CudaBackendOptions options;
    set(options);
    cuda::CudaBackend backend(model.source, model.tensors, model.config, cuda::device_library(), options);
    std::cerr << backend.description() << ", KV cache " << backend.capacity().num_blocks * kv_block_size
              << " tokens\n";
    run(backend, sequences, vocab);
    return 0;
}

}  // namespace
}  // namespace solard

int main(int argc, char** argv) {
    try {
        if (argc == 5) return solard::run(argv[1], argv[2], argv[3], argv[4]);
        std::cerr << "usage: teacher_forced MODEL TOKENS cuda|cpu bf16|fp16\n";
        return 2;
    } catch (const std::exception& e) {
        std::cerr << "teacher_forced: " << e.what() << '\n';
        return 1;
    }
}
