// What one thread block computes of one row of logits: ranks of tokens, and log-probabilities of the model's
// own distribution. The kernels that use this header are compiled without floating-point contraction, so that
// they agree with each other bit for bit.
#pragma once

#include <cfloat>

#include "cuda/reduce.cuh"
#include "inference/sampling/exp_approx.hpp"
#include "inference/sampling_params.hpp"

namespace solard::cuda {

inline constexpr int row_threads = 512;
inline constexpr int row_warps = row_threads / warp_size;
inline constexpr int num_buckets = 256;  // one for every value of eight bits of a rank
inline constexpr int bucket_bits = 8;

// A token and its logit as one number, as in inference/sampling/token_ranking.hpp. A likelier token has a
// greater number. The high half holds the logit's bits, changed so that these integers have the same order as
// the logits. The low half holds the inverted id, so that among equal logits the smaller id ranks higher.
using Rank = unsigned long long;
// A sum of probabilities, in a unit that depends on the size of the vocabulary.
using Mass = unsigned long long;

__device__ inline unsigned key_of(float logit) {
    const unsigned bits = __float_as_uint(logit + 0.0F);  // makes -0 the same as +0
    return (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
}
__device__ inline Rank rank_of(float logit, int token) {
    return Rank{key_of(logit)} << 32 | static_cast<unsigned>(~token);
}
__device__ inline int token_of(Rank rank) {
    return static_cast<int>(~static_cast<unsigned>(rank));
}
__device__ inline bool is_finite(float x) {
    return (__float_as_uint(x) & 0x7f800000) != 0x7f800000;
}

// The shared memory of the block's functions below.
struct RowScratch {
    Mass masses[num_buckets];
    unsigned counts[num_buckets];
    union {
        Rank ranks[row_warps];
        Mass sums[row_warps];
        double doubles[row_warps];
        int counts[row_warps];
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
    __device__ Logits(const float* logits, int vocab, RowScratch& scratch)
        : logits_(logits), vocab_(vocab), scratch_(scratch) {}

    __device__ float operator[](int token) const { return logits_[token]; }
    __device__ int vocab() const { return vocab_; }

    // Calls visit(token, logit) for every token; the threads divide the tokens among them.
    template <class Visit>
    __device__ void for_each(const Visit& visit) const {
        for (int token = static_cast<int>(threadIdx.x); token < vocab_; token += row_threads) {
            visit(token, logits_[token]);
        }
    }

    __device__ Rank largest_rank() const {
        Rank largest = 0;
        for_each([&](int token, float logit) { largest = max(largest, rank_of(logit, token)); });
        return block_reduce<row_threads>(largest, scratch_.reduce.ranks,
                                         [](Rank a, Rank b) { return max(a, b); });
    }
    __device__ bool all_finite() const {
        int finite = 1;
        for_each([&](int, float logit) { finite &= is_finite(logit) ? 1 : 0; });
        return block_reduce<row_threads>(finite, scratch_.reduce.counts,
                                         [](int a, int b) { return a & b; }) != 0;
    }
    // Returns how many tokens have a greater rank.
    __device__ int num_likelier(Rank rank) const {
        int count = 0;
        for_each([&](int token, float logit) { count += rank_of(logit, token) > rank ? 1 : 0; });
        return block_sum<row_threads>(count, scratch_.reduce.counts);
    }
    // Returns the sum of mass_of over all ranks >= bar.
    template <class MassOf>
    __device__ Mass total(Rank bar, const MassOf& mass_of) const {
        Mass sum = 0;
        for_each([&](int token, float logit) {
            if (rank_of(logit, token) >= bar) sum += mass_of(logit);
        });
        return block_sum<row_threads>(sum, scratch_.reduce.sums);
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
            const auto found = scratch_.found;
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
        for (int i = static_cast<int>(threadIdx.x); i < num_buckets; i += row_threads) {
            scratch_.masses[i] = 0;
            scratch_.counts[i] = 0;
        }
        __syncthreads();
        for_each([&](int token, float logit) {
            const Rank rank = rank_of(logit, token);
            if (rank < low || rank > high) return;
            const Mass mass = mass_of(logit);
            if (mass == 0) return;
            const auto bucket = static_cast<int>((rank - low) >> shift);
            atomicAdd(&scratch_.masses[bucket], mass);
            atomicAdd(&scratch_.counts[bucket], 1U);
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
            for (int i = 0; i < per_lane; ++i) own += scratch_.masses[top - i];
            Mass before = own;  // becomes the mass of everything above this lane's buckets
            for (unsigned delta = 1; delta < warp_size; delta *= 2) {
                const Mass lower = shuffle_up(before, delta);
                if (lane >= static_cast<int>(delta)) before += lower;
            }
            before += above - own;
            const bool reaches = before < limit && before + own >= limit;
            const std::uint32_t who = ballot(reaches);
            if (who == 0 && lane == 0) scratch_.found = {0, -1, 1};
            if (reaches) {
                int bucket = top;
                while (before + scratch_.masses[bucket] < limit) before += scratch_.masses[bucket--];
                const bool whole = before + scratch_.masses[bucket] == limit || scratch_.counts[bucket] == 1;
                scratch_.found = {before, bucket, whole ? 1 : 0};
            }
        }
        __syncthreads();
    }

    const float* logits_;
    int vocab_;
    RowScratch& scratch_;
};

// The log-probabilities of one row. All threads of the block must call the functions together, except of().
class LogProbabilities {
  public:
    // `largest` is the rank of the likeliest token.
    __device__ LogProbabilities(const Logits& logits, Rank largest, RowScratch& scratch)
        : logits_(logits), largest_(largest), scratch_(scratch) {
        const float largest_logit = logits[token_of(largest)];
        double sum = 0;
        logits.for_each([&](int, float logit) { sum += exp_approx(logit - largest_logit); });
        log_sum_ = largest_logit + log(block_sum<row_threads>(sum, scratch.reduce.doubles));
    }

    __device__ float of(int token) const {
        return static_cast<float>(
            fmax(static_cast<double>(logits_[token]) - log_sum_, -static_cast<double>(FLT_MAX)));
    }

    // Calls visit(place, token) for the `wanted` <= max_top_logprobs likeliest tokens, or for all tokens if
    // the vocabulary is smaller. The likeliest token has place 0. The threads divide the tokens among them.
    template <class Visit>
    __device__ void for_each_likeliest(int wanted, const Visit& visit) const {
        wanted = min(wanted, logits_.vocab());
        if (wanted <= 0) return;
        if (threadIdx.x == 0) scratch_.num_likeliest = 0;
        const Rank bar = logits_.front(static_cast<Mass>(wanted), 0, largest_, [](float) { return Mass{1}; });
        logits_.for_each([&](int token, float logit) {
            const Rank rank = rank_of(logit, token);
            if (rank >= bar) scratch_.likeliest[atomicAdd(&scratch_.num_likeliest, 1)] = rank;
        });
        __syncthreads();
        for (int i = static_cast<int>(threadIdx.x); i < wanted; i += row_threads) {
            const Rank rank = scratch_.likeliest[i];
            int place = 0;
            for (int j = 0; j < wanted; ++j) place += scratch_.likeliest[j] > rank ? 1 : 0;
            visit(place, token_of(rank));
        }
    }

  private:
    const Logits& logits_;
    Rank largest_;
    RowScratch& scratch_;
    double log_sum_;
};

}  // namespace solard::cuda
