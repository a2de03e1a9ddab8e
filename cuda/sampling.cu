#include "cuda/sampling.hpp"

#include <cfloat>

#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "inference/sampling/exp_approx.hpp"
#include "inference/sampling/philox.hpp"

namespace solard::cuda {
namespace {

constexpr int num_threads = 512;
constexpr int num_warps = num_threads / warp_size;
constexpr int num_buckets = 256;  // one for every value of eight bits of a rank
constexpr int bucket_bits = 8;

// A token and its logit as one number, as in inference/sampling/token_ranking.hpp. A likelier token has a
// greater number. The high half holds the logit's bits, changed so that these integers have the same order as
// the logits. The low half holds the inverted id, so that among equal logits the smaller id ranks higher.
using Rank = unsigned long long;
// A sum of probabilities, in a unit that depends on the size of the vocabulary.
using Mass = unsigned long long;

__device__ unsigned key_of(float logit) {
    const unsigned bits = __float_as_uint(logit + 0.0F);  // makes -0 the same as +0
    return (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
}
__device__ Rank rank_of(float logit, int token) {
    return Rank{key_of(logit)} << 32 | static_cast<unsigned>(~token);
}
__device__ int token_of(Rank rank) {
    return static_cast<int>(~static_cast<unsigned>(rank));
}
__device__ bool is_finite(float x) {
    return (__float_as_uint(x) & 0x7f800000) != 0x7f800000;
}

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
    Mass masses[num_buckets];
    unsigned counts[num_buckets];
    union {
        Rank ranks[num_warps];
        Mass sums[num_warps];
        double doubles[num_warps];
        int flags[num_warps];
        Winner winners[num_warps];
    } reduce;
    struct {
        Mass above;  // the mass of all ranks above the bucket
        int bucket;
        int done;
    } found;
    Rank likeliest[max_top_logprobs];
    int num_likeliest;
};

// One row of logits. All threads of the block must call its functions together.
class Logits {
  public:
    __device__ Logits(const float* logits, int vocab, Shared& shared)
        : logits_(logits), vocab_(vocab), shared_(shared) {}

    __device__ float operator[](int token) const { return logits_[token]; }
    __device__ int vocab() const { return vocab_; }

    // Calls visit(token, logit) for every token; the threads divide the tokens among them.
    template <class Visit>
    __device__ void for_each(const Visit& visit) const {
        for (int token = static_cast<int>(threadIdx.x); token < vocab_; token += num_threads) {
            visit(token, logits_[token]);
        }
    }

    __device__ Rank largest_rank() const {
        Rank largest = 0;
        for_each([&](int token, float logit) { largest = max(largest, rank_of(logit, token)); });
        return block_reduce<num_threads>(largest, shared_.reduce.ranks,
                                         [](Rank a, Rank b) { return max(a, b); });
    }
    __device__ bool all_finite() const {
        int finite = 1;
        for_each([&](int, float logit) { finite &= is_finite(logit) ? 1 : 0; });
        return block_reduce<num_threads>(finite, shared_.reduce.flags, [](int a, int b) { return a & b; }) !=
               0;
    }
    // Returns the sum of mass_of over all ranks >= bar.
    template <class MassOf>
    __device__ Mass total(Rank bar, const MassOf& mass_of) const {
        Mass sum = 0;
        for_each([&](int token, float logit) {
            if (rank_of(logit, token) >= bar) sum += mass_of(logit);
        });
        return block_sum<num_threads>(sum, shared_.reduce.sums);
    }

    // Finds the smallest set of top-ranked tokens whose sum of mass_of is at least `limit`, which must be
    // greater than 0. Returns a bar: the set consists of the tokens whose rank is >= bar. Returns 0 if the
    // sum over all tokens is less than `limit`. Only ranks from `floor` to `largest` are considered. Nothing
    // is sorted: each round makes a histogram over eight bits of the ranks, and the next round examines only
    // the bucket in which the sum reaches the limit.
    template <class MassOf>
    __device__ Rank front(Mass limit, Rank floor, Rank largest, const MassOf& mass_of) const {
        Rank low = floor;
        Rank high = largest;
        Mass above = 0;
        while (true) {
            const Rank width = high - low;
            int shift = 64 - bucket_bits;
            while (shift > 0 && width >> (shift - 1 + bucket_bits) == 0) --shift;
            fill_histogram(low, high, shift, mass_of);
            find_bucket(limit, above);
            const auto found = shared_.found;
            __syncthreads();
            if (found.bucket < 0) return 0;
            above = found.above;
            low += static_cast<Rank>(found.bucket) << shift;
            if (found.done != 0 || shift == 0) return low;
            high = min(high, low + ((Rank{1} << shift) - 1));
        }
    }

  private:
    template <class MassOf>
    __device__ void fill_histogram(Rank low, Rank high, int shift, const MassOf& mass_of) const {
        for (int i = static_cast<int>(threadIdx.x); i < num_buckets; i += num_threads) {
            shared_.masses[i] = 0;
            shared_.counts[i] = 0;
        }
        __syncthreads();
        for_each([&](int token, float logit) {
            const Rank rank = rank_of(logit, token);
            if (rank < low || rank > high) return;
            const Mass mass = mass_of(logit);
            if (mass == 0) return;
            const auto bucket = static_cast<int>((rank - low) >> shift);
            atomicAdd(&shared_.masses[bucket], mass);
            atomicAdd(&shared_.counts[bucket], 1U);
        });
        __syncthreads();
    }

    // Finds the bucket in which the sum from the top reaches the limit. `above` is the mass of all ranks
    // above the highest bucket. The first warp searches: each lane takes eight buckets, and lane 0 takes the
    // highest ones. front() is done if the whole bucket is needed or if the bucket holds only one token.
    __device__ void find_bucket(Mass limit, Mass above) const {
        constexpr int per_lane = num_buckets / warp_size;
        if (threadIdx.x < warp_size) {
            const int lane = static_cast<int>(threadIdx.x);
            const int top = num_buckets - 1 - lane * per_lane;
            Mass own = 0;
            for (int i = 0; i < per_lane; ++i) own += shared_.masses[top - i];
            Mass before = own;  // becomes the mass of everything above this lane's buckets
            for (unsigned delta = 1; delta < warp_size; delta *= 2) {
                const Mass lower = shuffle_up(before, delta);
                if (lane >= static_cast<int>(delta)) before += lower;
            }
            before += above - own;
            const bool reaches = before < limit && before + own >= limit;
            const std::uint32_t who = ballot(reaches);
            if (who == 0 && lane == 0) shared_.found = {0, -1, 1};
            if (reaches) {
                int bucket = top;
                while (before + shared_.masses[bucket] < limit) before += shared_.masses[bucket--];
                const bool whole = before + shared_.masses[bucket] == limit || shared_.counts[bucket] == 1;
                shared_.found = {before, bucket, whole ? 1 : 0};
            }
        }
        __syncthreads();
    }

    const float* logits_;
    int vocab_;
    Shared& shared_;
};

// ---- steps 2 to 5 of sampling: biases, bans, penalties

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
        for (int token = thread; token < args.vocab; token += num_threads) changed[token] = logits[token];
        __syncthreads();
        for (int i = thread; i < row.num_biases; i += num_threads) {
            const LogitBias bias = args.biases[row.first_bias + i];
            if (in_vocabulary(bias.token)) changed[bias.token] += bias.bias;
        }
        __syncthreads();
        if (row.slot >= 0) apply_penalties();
        for (int i = thread; with_bans && i < row.num_bans; i += num_threads) {
            const int token = args.bans[row.first_ban + i];
            // If a token is banned twice, only one thread writes its logit.
            if (in_vocabulary(token) && !stands_before(args.bans + row.first_ban, i))
                changed[token] = -INFINITY;
        }
        __syncthreads();
    }

    __device__ void apply_penalties() const {
        const int thread = static_cast<int>(threadIdx.x);
        for (int token = thread; token < args.vocab; token += num_threads) {
            const TokenCount count = count_of(token);
            if (is_penalised(count)) changed[token] = penalised(changed[token], count, row.params);
        }
        __syncthreads();
        // Drafts are penalised too, but they are not added to the counts, because other rows use the same
        // counts. Instead, the logits of these few tokens are computed again.
        for (int i = thread; i < row.num_drafts; i += num_threads) {
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

__device__ int draw(const Logits& logits, const SampleRow& row, Rank bar, Rank largest, Shared& shared) {
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
    return block_reduce<num_threads>(winner, shared.reduce.winners, better).token;
}

// ---- log-probabilities of the model's own distribution

__device__ float logprob_of(float logit, double log_sum) {
    return static_cast<float>(fmax(static_cast<double>(logit) - log_sum, -static_cast<double>(FLT_MAX)));
}

__device__ float log_probabilities(const Logits& logits, Rank largest, int chosen, int wanted,
                                   TokenLogprob* top, Shared& shared) {
    const float largest_logit = logits[token_of(largest)];
    double sum = 0;
    logits.for_each([&](int, float logit) { sum += exp_approx(logit - largest_logit); });
    const double log_sum = largest_logit + log(block_sum<num_threads>(sum, shared.reduce.doubles));
    wanted = min(wanted, logits.vocab());
    if (wanted > 0) {
        if (threadIdx.x == 0) shared.num_likeliest = 0;
        const Rank bar = logits.front(static_cast<Mass>(wanted), 0, largest, [](float) { return Mass{1}; });
        logits.for_each([&](int token, float logit) {
            const Rank rank = rank_of(logit, token);
            if (rank >= bar) shared.likeliest[atomicAdd(&shared.num_likeliest, 1)] = rank;
        });
        __syncthreads();
        for (int i = static_cast<int>(threadIdx.x); i < wanted; i += num_threads) {
            const Rank rank = shared.likeliest[i];
            int place = 0;
            for (int j = 0; j < wanted; ++j) place += shared.likeliest[j] > rank ? 1 : 0;
            top[place] = {token_of(rank), logprob_of(logits[token_of(rank)], log_sum)};
        }
    }
    return logprob_of(logits[chosen], log_sum);
}

__device__ bool has_changes(const SampleRow& row) {
    return row.num_biases > 0 || row.num_bans > 0 || row.slot >= 0;
}

__device__ bool keeps_all(const SamplingParams& params, int vocab) {
    return (params.top_k <= 0 || params.top_k >= vocab) && params.top_p >= 1 && params.min_p <= 0;
}

__global__ void __launch_bounds__(num_threads) sample_kernel(SampleArgs args) {
    Shared& shared = *dynamic_shared<Shared>();
    const std::int64_t index = blockIdx.x;
    const SampleRow& row = args.rows[index];
    const Logits raw(args.logits + index * args.stride, args.vocab, shared);
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
        largest = Logits(logits, args.vocab, shared).largest_rank();
        if (largest < Rank{key_of(-FLT_MAX)} << 32) {
            change.apply(false);
            largest = Logits(logits, args.vocab, shared).largest_rank();
        }
    }
    int token = token_of(largest);
    if (row.params.temperature != 0) {
        const Logits changed(logits, args.vocab, shared);
        const Rank bar = keeps_all(row.params, args.vocab) ? Rank{key_of(-FLT_MAX)} << 32
                                                           : cut(changed, row.params, largest);
        token = draw(changed, row, bar, largest, shared);
    }
    float logprob = 0;
    if (row.params.num_logprobs >= 0) {
        logprob = log_probabilities(raw, raw_largest, token, row.params.num_logprobs,
                                    args.top + index * max_top_logprobs, shared);
    }
    if (threadIdx.x == 0) {
        sampled = {.token = token, .finite = true, .logprob = logprob};
        args.tokens[index] = token;
    }
}

// One thread block per update.
__global__ void __launch_bounds__(num_threads) update_counts_kernel(UpdateCountsArgs args) {
    const CountUpdate update = args.updates[blockIdx.x];
    TokenCount* const counts = args.counts + std::int64_t{update.slot} * args.vocab;
    const int thread = static_cast<int>(threadIdx.x);
    for (int token = thread; update.reset != 0 && token < args.vocab; token += num_threads) counts[token] = 0;
    __syncthreads();
    for (int i = thread; i < update.num_tokens; i += num_threads) {
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
        {.grid = dim3(static_cast<unsigned>(args.num_updates)), .block = dim3(num_threads)}, stream, args);
}

void sample(const SampleArgs& args, cudaStream_t stream) {
    if (args.num_rows == 0) return;
    const LaunchShape shape{.grid = dim3(static_cast<unsigned>(args.num_rows)),
                            .block = dim3(num_threads),
                            .dynamic_shared_bytes = sizeof(Shared)};
    launch<sample_kernel>(shape, stream, args);
}

}  // namespace solard::cuda
