#include "cuda/sampling.hpp"

#include <cfloat>

#include "cuda/launch.cuh"
#include "cuda/logits_row.cuh"
#include "inference/sampling/exp_approx.hpp"
#include "inference/sampling/philox.hpp"

namespace solard::cuda {
namespace {

// The best token of a draw so far.
struct Winner {
    double score;
    int token;
};
__device__ Winner shuffle_xor(const Winner& winner, int mask) {
    return {cuda::shuffle_xor(winner.score, mask), cuda::shuffle_xor(winner.token, mask)};
}
__device__ Winner better(const Winner& a, const Winner& b) {
    if (a.score != b.score) return a.score > b.score ? a : b;
    return a.token < b.token ? a : b;
}

struct Shared {
    RowScratch row;
    Winner winners[row_warps];
};

// ---- steps 2 to 5 of sampling: biases, masks, bans, penalties

__device__ float penalised(float logit, TokenCount count, const SamplingParams& params) {
    const float r = params.repetition_penalty;
    logit = logit > 0 ? logit / r : logit * r;
    const TokenCount occurrences = count & ~in_prompt;
    if (occurrences > 0) {
        logit -= static_cast<float>(static_cast<int>(occurrences)) * params.frequency_penalty +
                 params.presence_penalty;
    }
    return fminf(fmaxf(logit, -FLT_MAX), FLT_MAX);
}

struct RowChange {
    const SampleArgs& args;
    const SampleRow& row;
    const float* logits;
    float* changed;

    // Returns true if tokens[i] also occurs before index i.
    __device__ static bool stands_before(const std::int32_t* tokens, int i) {
        for (int j = 0; j < i; ++j) {
            if (tokens[j] == tokens[i]) return true;
        }
        return false;
    }
    __device__ bool in_vocabulary(int token) const { return token >= 0 && token < args.vocab; }
    __device__ float bias_of(int token) const {
        for (int i = 0; i < row.num_biases; ++i) {
            const LogitBias& bias = args.biases[row.first_bias + i];
            if (bias.token == token) return bias.bias;
        }
        return 0;
    }
    // The repetition penalty applies to the whole context, the other penalties to the answer only.
    __device__ bool is_penalised(TokenCount count) const {
        return (count & ~in_prompt) != 0 || (count != 0 && row.params.repetition_penalty != 1);
    }
    __device__ TokenCount count_of(int token) const {
        return row.slot < 0 ? 0 : args.counts[std::int64_t{row.slot} * args.vocab + token];
    }

    __device__ void apply(bool with_bans) const {
        const int thread = static_cast<int>(threadIdx.x);
        for (int token = thread; token < args.vocab; token += row_threads) changed[token] = logits[token];
        __syncthreads();
        for (int i = thread; i < row.num_biases; i += row_threads) {
            const LogitBias bias = args.biases[row.first_bias + i];
            if (in_vocabulary(bias.token)) changed[bias.token] += bias.bias;
        }
        __syncthreads();
        if (row.slot >= 0) apply_penalties();
        if (row.mask >= 0) exclude_others();
        for (int i = thread; with_bans && i < row.num_bans; i += row_threads) {
            const int token = args.bans[row.first_ban + i];
            // If a token is banned twice, only one thread writes its logit.
            if (in_vocabulary(token) && !stands_before(args.bans + row.first_ban, i))
                changed[token] = -INFINITY;
        }
        __syncthreads();
    }

    __device__ void exclude_others() const {
        const std::uint32_t* const mask = args.masks + std::int64_t{row.mask} * ((args.vocab + 31) / 32);
        for (int token = static_cast<int>(threadIdx.x); token < args.vocab; token += row_threads) {
            if ((mask[token / 32] >> (token % 32) & 1U) == 0) changed[token] = -INFINITY;
        }
        __syncthreads();
    }

    __device__ void apply_penalties() const {
        const int thread = static_cast<int>(threadIdx.x);
        for (int token = thread; token < args.vocab; token += row_threads) {
            const TokenCount count = count_of(token);
            if (is_penalised(count)) changed[token] = penalised(changed[token], count, row.params);
        }
        __syncthreads();
        // Drafts are penalised too, but they are not added to the counts, because other rows use the same
        // counts. Instead, the logits of these few tokens are computed again.
        for (int i = thread; i < row.num_drafts; i += row_threads) {
            const std::int32_t* const drafts = args.drafts + row.first_draft;
            const int token = drafts[i];
            if (!in_vocabulary(token) || stands_before(drafts, i)) continue;
            TokenCount more = 0;
            for (int j = i; j < row.num_drafts; ++j) more += drafts[j] == token ? 1 : 0;
            float logit = logits[token];
            if (row.num_biases > 0) logit += bias_of(token);
            changed[token] = penalised(logit, count_of(token) + more, row.params);
        }
        __syncthreads();
    }
};

// ---- steps 7 to 9 of sampling: top_k, top_p and min_p. Each of them sets a bar that a token's rank must
// reach.

// The probability of a token times a constant, as an integer. The sum over any vocabulary fits in a Mass.
struct MassOf {
    float largest;
    float temperature;
    float unit;  // a power of two
    __device__ Mass operator()(float logit) const {
        return static_cast<Mass>(exp_approx((logit - largest) / temperature) * unit);
    }
};

__device__ float mass_unit(int vocab) {
    int bits = 0;
    while ((1 << bits) < vocab) ++bits;
    return ldexpf(1, 62 - bits);
}

__device__ Rank bar_of_min_p(float largest, const SamplingParams& params) {
    const double bar =
        largest + static_cast<double>(params.temperature) * log(static_cast<double>(params.min_p));
    auto nearest = static_cast<float>(bar);
    if (nearest < bar) nearest = nextafterf(nearest, INFINITY);
    return Rank{key_of(nearest)} << 32;
}

__device__ Rank cut(const Logits& logits, const SamplingParams& params, Rank largest) {
    // Tokens whose logit is -infinity are excluded.
    const Rank floor = Rank{key_of(-FLT_MAX)} << 32;
    Rank bar = floor;
    if (params.top_k > 0 && params.top_k < logits.vocab()) {
        const Mass k = static_cast<unsigned>(params.top_k);
        bar = max(bar, logits.front(k, floor, largest, [](float) { return Mass{1}; }));
    }
    const float largest_logit = logits[token_of(largest)];
    if (params.top_p < 1) {
        const MassOf mass_of{largest_logit, params.temperature, mass_unit(logits.vocab())};
        const Mass total = logits.total(bar, mass_of);
        const double wanted = ceil(static_cast<double>(params.top_p) * static_cast<double>(total));
        bar = max(bar, logits.front(max(static_cast<Mass>(wanted), Mass{1}), bar, largest, mass_of));
    }
    if (params.min_p > 0) bar = max(bar, bar_of_min_p(largest_logit, params));
    return bar;
}

// ---- step 10 of sampling: the draw

__device__ std::uint32_t random_word(const SampleRow& row, int token) {
    const std::uint64_t seed = row.params.seed;
    return philox4x32_10(
        {static_cast<std::uint32_t>(token), static_cast<std::uint32_t>(row.position), row.params.choice, 0},
        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)})[0];
}

__device__ double noise_of(std::uint32_t word) {
    const double uniform = (word + 0.5) * 0x1p-32;
    return -log(-log(uniform));
}

// Computes noise_of(word) in float, with an error below 1e-5. This is faster, because GPUs for inference have
// few double-precision units.
__device__ float noise_estimate(std::uint32_t word) {
    const float exponential = word < 0x80000000 ? -logf((static_cast<float>(word) + 0.5F) * 0x1p-32F)
                                                : -log1pf(-(static_cast<float>(~word) + 0.5F) * 0x1p-32F);
    return -logf(exponential);
}

__device__ int draw(const Logits& logits, const SampleRow& row, Rank bar, Rank largest, Winner* winners) {
    const float largest_logit = logits[token_of(largest)];
    const float temperature = row.params.temperature;
    Winner winner{-INFINITY, 0x7fffffff};
    auto best = static_cast<float>(winner.score);
    logits.for_each([&](int token, float logit) {
        if (rank_of(logit, token) < bar) return;
        const float difference = logit - largest_logit;
        const std::uint32_t word = random_word(row, token);
        const float scaled = difference / temperature;
        const float margin = 1e-3F - scaled * 1e-5F;  // scaled <= 0
        if (scaled + noise_estimate(word) + margin < best) return;
        const Winner next{static_cast<double>(difference) / static_cast<double>(temperature) + noise_of(word),
                          token};
        winner = better(winner, next);
        best = static_cast<float>(winner.score);
    });
    return block_reduce<row_threads>(winner, winners, better).token;
}

__device__ bool has_changes(const SampleRow& row) {
    return row.num_biases > 0 || row.num_bans > 0 || row.slot >= 0 || row.mask >= 0;
}

__device__ bool keeps_all(const SamplingParams& params, int vocab) {
    return (params.top_k <= 0 || params.top_k >= vocab) && params.top_p >= 1 && params.min_p <= 0;
}

__global__ void __launch_bounds__(row_threads) sample_kernel(SampleArgs args) {
    Shared& shared = *dynamic_shared<Shared>();
    const std::int64_t index = blockIdx.x;
    const SampleRow& row = args.rows[index];
    const Logits raw(args.logits + index * args.stride, args.vocab, shared.row);
    SampledToken& sampled = args.sampled[index];
    if (!raw.all_finite()) {
        if (threadIdx.x == 0) {
            sampled = {.token = -1, .finite = false, .logprob = 0};
            args.tokens[index] = 0;
        }
        return;
    }
    const Rank raw_largest = raw.largest_rank();
    Rank largest = raw_largest;
    const float* logits = args.logits + index * args.stride;
    if (has_changes(row)) {
        const RowChange change{args, row, logits, args.changed + index * args.vocab};
        logits = change.changed;
        change.apply(true);
        largest = Logits(logits, args.vocab, shared.row).largest_rank();
        if (largest < Rank{key_of(-FLT_MAX)} << 32) {
            change.apply(false);
            largest = Logits(logits, args.vocab, shared.row).largest_rank();
        }
    }
    int token = token_of(largest);
    if (row.params.temperature != 0) {
        const Logits changed(logits, args.vocab, shared.row);
        const Rank bar = keeps_all(row.params, args.vocab) ? Rank{key_of(-FLT_MAX)} << 32
                                                           : cut(changed, row.params, largest);
        token = draw(changed, row, bar, largest, shared.winners);
    }
    float logprob = 0;
    if (row.params.num_logprobs >= 0) {
        const LogProbabilities logprobs(raw, raw_largest, shared.row);
        TokenLogprob* const top = args.top + index * max_top_logprobs;
        logprobs.for_each_likeliest(row.params.num_logprobs, [&](int place, int likely) {
            top[place] = {likely, logprobs.of(likely)};
        });
        logprob = logprobs.of(token);
    }
    if (threadIdx.x == 0) {
        sampled = {.token = token, .finite = true, .logprob = logprob};
        args.tokens[index] = token;
    }
}

// One thread block per update.
__global__ void __launch_bounds__(row_threads) update_counts_kernel(UpdateCountsArgs args) {
    const CountUpdate update = args.updates[blockIdx.x];
    TokenCount* const counts = args.counts + std::int64_t{update.slot} * args.vocab;
    const int thread = static_cast<int>(threadIdx.x);
    for (int token = thread; update.reset != 0 && token < args.vocab; token += row_threads) counts[token] = 0;
    __syncthreads();
    for (int i = thread; i < update.num_tokens; i += row_threads) {
        const int token = args.tokens[update.first_token + i];
        if (token < 0 || token >= args.vocab) continue;
        if (i < update.num_prompt_tokens) {
            atomicOr(&counts[token], in_prompt);
        } else {
            atomicAdd(&counts[token], TokenCount{1});
        }
    }
}

}  // namespace

void update_counts(const UpdateCountsArgs& args, cudaStream_t stream) {
    if (args.num_updates == 0) return;
    launch<update_counts_kernel>(
        {.grid = dim3(static_cast<unsigned>(args.num_updates)), .block = dim3(row_threads)}, stream, args);
}

void sample(const SampleArgs& args, cudaStream_t stream) {
    if (args.num_rows == 0) return;
    const LaunchShape shape{.grid = dim3(static_cast<unsigned>(args.num_rows)),
                            .block = dim3(row_threads),
                            .dynamic_shared_bytes = sizeof(Shared)};
    launch<sample_kernel>(shape, stream, args);
}

}  // namespace solard::cuda
