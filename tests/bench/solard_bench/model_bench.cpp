#include "tests/bench/solard_bench/model_bench.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <random>
#include <string>

#include "inference/engine/engine_core.hpp"
#include "inference/scheduling/sequence.hpp"
#include "tests/bench/bench.hpp"

namespace solard::bench {
namespace {

// Returns the bytes of weights that one step reads. A step reads only a few rows of the embedding, so the
// embedding is not counted, unless it is also the output head.
double weight_bytes(const ModelConfig& config) {
    const auto embedding = static_cast<double>(config.vocab_size) * config.hidden_size;
    const double parameters = static_cast<double>(config.num_parameters());
    return 2 * (config.tie_word_embeddings ? parameters : parameters - embedding);
}

// Returns the number of arithmetic operations in one token's matrix products, without attention and the
// output head.
double flops_per_token(const ModelConfig& config) {
    const auto embedding = static_cast<double>(config.vocab_size) * config.hidden_size;
    const double all = static_cast<double>(config.num_parameters());
    return 2 * (all - (config.tie_word_embeddings ? 1 : 2) * embedding);
}

// Returns the number of arithmetic operations of attention, in all layers, for one token that sees `context`
// tokens.
double attention_flops(const ModelConfig& config, double context) {
    return 4 * context * config.num_layers * config.num_heads * config.head_dim;
}

// Appends the tokens [begin, end) of a sequence. The sequence's blocks are consecutive from `first_block` on.
void append(ForwardBatch& batch, std::int32_t begin, std::int32_t end, std::int32_t first_block,
            bool samples) {
    for (std::int32_t position = begin; position < end; ++position) {
        batch.token_ids.push_back(position % 97 + 3);
        batch.positions.push_back(position);
        batch.slot_mapping.push_back(first_block * kv_block_size + position);
    }
    batch.cu_seqlens_q.push_back(batch.num_tokens());
    batch.context_lens.push_back(end);
    for (std::int32_t i = 0; i < batch.block_table_stride; ++i) batch.block_tables.push_back(first_block + i);
    if (!samples) return;
    batch.logits_rows.push_back(batch.num_tokens() - 1);
    batch.sampling.push_back({.params = {.temperature = 0.7F, .top_p = 0.95F, .seed = 1}, .position = end});
}

double seconds_of(const auto& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

}  // namespace

void ModelBench::decode(const std::vector<std::int32_t>& batches, std::int32_t context) {
    const BackendCapacity capacity = backend.capacity();
    const std::int32_t blocks = blocks_for(context + 1);
    report.begin("decode, context " + std::to_string(context));
    for (const std::int32_t size : batches) {
        if (size > capacity.max_seqs_per_step || size > capacity.max_tokens_per_step ||
            std::int64_t{size} * blocks > capacity.num_blocks || context >= capacity.max_model_len) {
            std::printf("batch %d does not fit\n", size);
            continue;
        }
        ForwardBatch batch;
        batch.block_table_stride = blocks;
        batch.cu_seqlens_q = {0};
        for (std::int32_t i = 0; i < size; ++i) append(batch, context, context + 1, i * blocks, true);
        StepResults results;
        const auto step = [&] {
            backend.submit(batch);
            backend.collect(results);
        };
        step();
        std::vector<double> times;
        for (int round = 0; round < rounds; ++round) {
            constexpr int steps = 8;
            times.push_back(seconds_of([&] {
                                for (int i = 0; i < steps; ++i) step();
                            }) /
                            steps);
        }
        const double seconds = median(times);
        const double bytes = weight_bytes(config) + static_cast<double>(size) * context *
                                                        static_cast<double>(config.kv_bytes_per_token());
        Row row{"batch " + std::to_string(size),
                {{"ms", seconds * 1e3}, {"tok/s", size / seconds}, {"GB/s", bytes / seconds / 1e9}}};
        if (limit.bytes_per_second > 0)
            row.values.emplace_back("share", bytes / limit.bytes_per_second / seconds);
        report.add(row);
    }
}

void ModelBench::prefill(const std::vector<std::int32_t>& lengths) {
    const BackendCapacity capacity = backend.capacity();
    report.begin("prefill, one prompt, " + std::to_string(capacity.max_tokens_per_step) + " tokens a step");
    for (const std::int32_t length : lengths) {
        if (length > capacity.max_model_len || blocks_for(length) > capacity.num_blocks) {
            std::printf("length %d does not fit\n", length);
            continue;
        }
        const auto run = [&] {
            StepResults results;
            for (std::int32_t begin = 0; begin < length;) {
                const std::int32_t end = std::min(begin + capacity.max_tokens_per_step, length);
                ForwardBatch batch;
                batch.block_table_stride = blocks_for(length);
                batch.cu_seqlens_q = {0};
                append(batch, begin, end, 0, end == length);
                backend.submit(batch);
                backend.collect(results);
                begin = end;
            }
        };
        run();
        std::vector<double> times;
        for (int round = 0; round < rounds; ++round) times.push_back(seconds_of(run));
        const double seconds = median(times);
        const double flops =
            length * flops_per_token(config) + length * attention_flops(config, length / 2.0);
        Row row{"prompt of " + std::to_string(length),
                {{"ms", seconds * 1e3}, {"tok/s", length / seconds}, {"TFLOP/s", flops / seconds / 1e12}}};
        if (limit.flops > 0) row.values.emplace_back("share", flops / limit.flops / seconds);
        report.add(row);
    }
}

void ModelBench::offline(const Tokenizer& tokenizer, std::int32_t input, std::int32_t output,
                         std::int32_t num_requests) {
    const BackendCapacity capacity = backend.capacity();
    report.begin("offline, " + std::to_string(num_requests) + " requests of " + std::to_string(input) +
                 " + " + std::to_string(output) + " tokens");
    EngineCore core(backend, tokenizer,
                    {.max_num_seqs = capacity.max_seqs_per_step,
                     .max_num_batched_tokens = capacity.max_tokens_per_step,
                     .num_blocks = capacity.num_blocks,
                     .max_model_len = capacity.max_model_len,
                     .eos_token_ids = config.eos_token_ids,
                     .prefix_cache = false,
                     .hash_key = {1, 2}});
    std::mt19937 random(1);
    for (std::int32_t i = 0; i < num_requests; ++i) {
        Request request;
        request.id = static_cast<RequestId>(i);
        request.prompt.resize(static_cast<std::size_t>(input));
        for (TokenId& token : request.prompt) {
            token = static_cast<TokenId>(random() % static_cast<unsigned>(config.vocab_size));
        }
        request.max_tokens = output;
        request.ignore_eos = true;
        request.sampling.seed = static_cast<std::uint64_t>(i);
        core.submit(std::move(request));
    }
    StepEvents events;
    std::size_t tokens = 0;
    std::size_t steps = 0;
    const double seconds = seconds_of([&] {
        while (core.has_work()) {
            events.clear();
            core.step(events);
            tokens += events.token_ids.size();
            ++steps;
        }
    });
    report.add({"all",
                {{"s", seconds},
                 {"steps", static_cast<double>(steps)},
                 {"output tok/s", static_cast<double>(tokens) / seconds},
                 {"all tok/s",
                  (static_cast<double>(tokens) + static_cast<double>(num_requests) * input) / seconds}}});
}

}  // namespace solard::bench
