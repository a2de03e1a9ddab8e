#include "cuda/scoring.hpp"

#include "cuda/launch.cuh"
#include "cuda/logits_row.cuh"

namespace solard::cuda {
namespace {

// One thread block per token.
__global__ void __launch_bounds__(row_threads) score_kernel(ScoreArgs args) {
    RowScratch& scratch = *dynamic_shared<RowScratch>();
    const std::int64_t index = blockIdx.x;
    const ScoredToken scored = args.tokens[index];
    RankedLogprob* const scores = args.scores + scored.first_score;
    for (int i = static_cast<int>(threadIdx.x); i <= scored.num_alternatives; i += row_threads) {
        scores[i] = {.token = i == 0 ? scored.token : -1, .logprob = 0, .rank = 0};
    }
    const Logits logits(args.logits + index * args.stride, args.vocab, scratch);
    if (!logits.all_finite()) return;  // all_finite() is also the barrier after the loop above
    const LogProbabilities logprobs(logits, logits.largest_rank(), scratch);
    logprobs.for_each_likeliest(scored.num_alternatives, [&](int place, int token) {
        scores[1 + place] = {.token = token, .logprob = logprobs.of(token), .rank = 1 + place};
    });
    const int num_likelier = logits.num_likelier(rank_of(logits[scored.token], scored.token));
    if (threadIdx.x == 0) {
        scores[0] = {.token = scored.token, .logprob = logprobs.of(scored.token), .rank = 1 + num_likelier};
    }
}

}  // namespace

void score(const ScoreArgs& args, cudaStream_t stream) {
    if (args.num_tokens == 0) return;
    const LaunchShape shape{.grid = dim3(static_cast<unsigned>(args.num_tokens)),
                            .block = dim3(row_threads),
                            .dynamic_shared_bytes = sizeof(RowScratch)};
    launch<score_kernel>(shape, stream, args);
}

}  // namespace solard::cuda
