// Measures the host's time for one engine step without a forward pass: bench_scheduler [ROUNDS].
//
// Several sequences of 2,000 tokens each decode. In some rows of the table, other sequences wait because all
// slots or all blocks are in use; in these rows, each sequence has its own principal. The table shows the
// median microseconds of each phase of a step.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "inference/scheduling/scheduler.hpp"
#include "tests/bench/bench.hpp"
#include "tests/support/demo_tokenizer.hpp"

namespace solard {
namespace {

constexpr std::int32_t context = 2000;

enum Phase : std::size_t { schedule, complete, stop_rules, progress, num_phases };

class Bench {
  public:
    // The pool has blocks for the running sequences and for `num_steps` more tokens of each sequence.
    Bench(std::int32_t num_sequences, std::int32_t num_waiting, bool slots_are_free, std::int32_t num_steps)
        : num_steps_(num_steps),
          scheduler_({.max_num_seqs = num_sequences + (slots_are_free ? 64 : 0),
                      .max_num_batched_tokens = 8192,
                      .num_blocks = num_sequences * blocks_for(context + num_steps + 24),
                      .max_model_len = 4096,
                      .eos_token_ids = {2},
                      .hash_key = {1, 2}}) {
        for (std::int32_t i = 0; i < num_sequences; ++i) {
            Request request;
            request.id = static_cast<RequestId>(i) + 1;
            request.prompt.assign(static_cast<std::size_t>(context), 3 + i % 2000);
            request.max_tokens = num_steps + 32;
            request.stop = {"never said"};
            request.principal.id = static_cast<std::uint64_t>(num_waiting > 0 ? i : i % 8);
            scheduler_.add(std::move(request));
        }
        while (scheduler_.snapshot().num_waiting > 0 || batch_tokens_ > num_sequences) step();
        for (std::int32_t i = 0; i < num_waiting; ++i) {
            Request request;
            request.id = static_cast<RequestId>(num_sequences + i) + 1;
            request.prompt.assign(static_cast<std::size_t>(context), 3 + i % 2000);
            request.max_tokens = num_steps + 32;
            request.principal.id = 1'000'000 + static_cast<std::uint64_t>(i);
            scheduler_.add(std::move(request));
        }
    }

    // Returns the median of each phase over the steps, in microseconds.
    std::array<double, num_phases> run() {
        for (auto& samples : samples_) samples.clear();
        for (std::int32_t i = 0; i < num_steps_; ++i) step();
        std::array<double, num_phases> medians{};
        for (std::size_t phase = 0; phase < num_phases; ++phase) medians[phase] = median(samples_[phase]);
        return medians;
    }

  private:
    template <class F>
    void timed(Phase phase, F work) {
        const auto begin = std::chrono::steady_clock::now();
        work();
        const std::chrono::duration<double, std::micro> elapsed = std::chrono::steady_clock::now() - begin;
        samples_[phase].push_back(elapsed.count());
    }

    void step() {
        timed(schedule, [&] { batch_ = &scheduler_.schedule(Clock::time_point{}); });
        batch_tokens_ = batch_->num_tokens();
        results_.rows.resize(static_cast<std::size_t>(batch_->num_rows()));
        for (SampledToken& row : results_.rows) row.token = 300 + static_cast<TokenId>(++drawn_ % 1500);
        timed(complete, [&] { advanced_ = scheduler_.complete(results_); });
        timed(stop_rules, [&] {
            text_.clear();
            for (const Scheduler::Advance& advance : advanced_) {
                Sequence& sequence = *advance.sequence;
                const TokenId token =
                    sequence.token_ids[static_cast<std::size_t>(sequence.num_accepted_tokens)];
                sequence.accept_token(demo_tokenizer().bytes_of(token), text_);
            }
        });
        timed(progress, [&] {
            progress_.clear();
            scheduler_.append_progress(progress_);
            snapshot_ = scheduler_.snapshot();
        });
    }

    const std::int32_t num_steps_;
    Scheduler scheduler_;
    StepResults results_;
    const ForwardBatch* batch_ = nullptr;
    std::span<const Scheduler::Advance> advanced_;
    std::int32_t batch_tokens_ = 0;
    std::uint64_t drawn_ = 0;
    std::string text_;
    std::vector<ProgressEvent> progress_;
    EngineSnapshot snapshot_;
    std::array<std::vector<double>, num_phases> samples_;
};

}  // namespace
}  // namespace solard

int main(int argc, char** argv) {
    using namespace solard;
    const int rounds = argc > 1 ? std::atoi(argv[1]) : 3;
    print_load_average();
    std::printf("%9s %16s %10s %10s %11s %10s %10s %14s\n", "sequences", "waiting", "schedule", "complete",
                "stop rules", "progress", "step us", "us/sequence");
    struct Load {
        std::int32_t sequences;
        std::int32_t waiting = 0;
        bool slots_are_free = false;
    };
    for (int round = 0; round < rounds; ++round) {
        for (const Load& load :
             {Load{16}, Load{64}, Load{256}, Load{1024}, Load{64, 256}, Load{64, 256, true}}) {
            const auto medians =
                Bench(load.sequences, load.waiting, load.slots_are_free, load.waiting > 0 ? 40 : 400).run();
            double sum = 0;
            for (const double median : medians) sum += median;
            std::printf("%9d %4d %11s", load.sequences, load.waiting,
                        load.waiting == 0 ? "" : (load.slots_are_free ? "for blocks" : "for slots"));
            for (const double median : medians) std::printf(" %6.1f %2.0f%%", median, 100 * median / sum);
            std::printf(" %10.1f %14.3f\n", sum, sum / load.sequences);
        }
    }
}
