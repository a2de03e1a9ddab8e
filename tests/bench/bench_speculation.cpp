// Measures tokens per second with and without drafts: bench_speculation [THREADS] [ROUNDS].
//
// Runs the demonstration model on the CPU with greedy decoding. Each stream asks one question after another.
// There are two sets of questions: plain questions of all families, and questions whose answers are already
// in the prompt. Each round runs with every value of max_speculative_step_rows. For each value, the table
// shows the median speed, and the median ratio of this speed to the speed for the value 0 in the same round.
#include <array>
#include <chrono>
#include <cstdlib>

#include "inference/engine/engine_core.hpp"
#include "tests/bench/bench.hpp"
#include "tests/support/demo_model.hpp"

namespace solard {
namespace {

constexpr std::array row_limits = {0, 8, 16, 32};
constexpr std::size_t num_questions = 96;

CpuBackendOptions backend_options(int num_threads) {
    CpuBackendOptions options;
    options.num_threads = num_threads;
    options.kv_cache_bytes = std::size_t{64} << 20;
    options.max_model_len = 1024;
    return options;
}

struct Measured {
    double tokens_per_second = 0;
    double drafts = 0;
    double accepted = 0;
};

class Bench {
  public:
    Bench(const DemoModel& model, Backend& backend) : model_(model), backend_(backend) {
        for (const auto& [question, answer] : demo_examples()) {
            plain_.push_back(model.encode(question));
            if (answer.size() < 60) continue;
            repeating_.push_back(
                model.encode({{Role::user, question}, {Role::assistant, answer}, {Role::user, question}}));
        }
    }

    Measured run(bool repeating, std::size_t num_streams, std::int32_t speculation) const {
        EngineCore core(backend_, model_.tokenizer,
                        {.max_num_seqs = backend_.capacity().max_seqs_per_step,
                         .max_num_batched_tokens = backend_.capacity().max_tokens_per_step,
                         .num_blocks = backend_.capacity().num_blocks,
                         .max_model_len = backend_.capacity().max_model_len,
                         .eos_token_ids = model_.config.eos_token_ids,
                         .hash_key = {1, 2},
                         .max_speculative_step_rows = speculation});
        const auto& prompts = repeating ? repeating_ : plain_;
        std::size_t num_asked = 0;
        const auto ask = [&] {
            Request request;
            request.id = num_asked;
            request.prompt = prompts[num_asked++ % prompts.size()];
            request.max_tokens = 128;
            request.sampling.temperature = 0;
            core.submit(std::move(request));
        };
        StepEvents events;
        const auto begin = Clock::now();
        while (num_asked < num_streams) ask();
        while (core.has_work()) {
            events.clear();
            core.step(events);
            for (const StepEvent& event : events.events) {
                const bool ended = event.finish != FinishReason::none;
                if (ended && num_asked < num_questions) ask();
            }
        }
        const std::chrono::duration<double> elapsed = Clock::now() - begin;
        const EngineSnapshot& last = events.snapshot;
        return {static_cast<double>(last.generated_tokens) / elapsed.count(),
                static_cast<double>(last.draft_tokens), static_cast<double>(last.accepted_draft_tokens)};
    }

  private:
    const DemoModel& model_;
    Backend& backend_;
    std::vector<std::vector<TokenId>> plain_;
    std::vector<std::vector<TokenId>> repeating_;
};

void compare(const Bench& bench, bool repeating, std::size_t num_streams, int rounds) {
    std::array<std::vector<double>, row_limits.size()> speeds;
    std::array<std::vector<double>, row_limits.size()> ratios;
    std::array<Measured, row_limits.size()> last;
    bench.run(repeating, num_streams, 0);  // warm-up
    for (int round = 0; round < rounds; ++round) {
        for (std::size_t i = 0; i < row_limits.size(); ++i) {
            last[i] = bench.run(repeating, num_streams, row_limits[i]);
            speeds[i].push_back(last[i].tokens_per_second);
            ratios[i].push_back(last[i].tokens_per_second / last[0].tokens_per_second);
        }
    }
    std::printf("%-9s %7zu", repeating ? "repeating" : "plain", num_streams);
    for (std::size_t i = 0; i < row_limits.size(); ++i) {
        std::printf("  %6.0f", median(speeds[i]));
        if (i == 0) continue;
        const double rate = last[i].drafts > 0 ? 100 * last[i].accepted / last[i].drafts : 0;
        std::printf(" %5.2f %5.0f %3.0f%%", median(ratios[i]), last[i].drafts, rate);
    }
    std::printf("\n");
}

}  // namespace
}  // namespace solard

int main(int argc, char** argv) {
    using namespace solard;
    const DemoModel model;
    CpuBackend backend = model.backend(backend_options(argc > 1 ? std::atoi(argv[1]) : 1));
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
    const Bench bench(model, backend);
    print_load_average();
    std::printf("%s; tokens/s, ratio to 0, drafts, accepted\n", backend.description().c_str());
    std::printf("%-9s %7s", "prompts", "streams");
    for (const int rows : row_limits) std::printf("  %6d%*s", rows, rows == 0 ? 0 : 17, "");
    std::printf("\n");
    for (const bool repeating : {false, true}) {
        for (const std::size_t num_streams : {1U, 2U, 4U, 8U, 16U})
            compare(bench, repeating, num_streams, rounds);
    }
    print_load_average();
}
