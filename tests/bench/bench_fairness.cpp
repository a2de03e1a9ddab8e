// Measures how long one client waits while another client floods the engine: bench_fairness [THREADS].
//
// Runs the demonstration model on the CPU in real time. One client asks ten short questions. In the first two
// rounds, this client is alone and asks each question after the previous answer. In the other rounds, a
// second client has 500 requests queued, and the first client asks one question per second. In the third
// round, the two clients are two principals. In the last round, they are one principal, so that all requests
// wait in one queue. A round ends after 30 seconds at the latest. A question that has no answer at the end of
// the round counts with the time that it has waited.
#include <chrono>
#include <cstdlib>
#include <map>

#include "inference/engine/engine_core.hpp"
#include "tests/bench/bench.hpp"
#include "tests/support/demo_model.hpp"

namespace solard {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr int num_flood = 500;
constexpr int num_probes = 10;
constexpr auto interval = std::chrono::seconds(1);
constexpr auto longest_round = std::chrono::seconds(30);
constexpr std::int32_t max_num_seqs = 32;

CpuBackendOptions backend_options(int num_threads) {
    CpuBackendOptions options;
    options.num_threads = num_threads;
    options.kv_cache_bytes = std::size_t{16} << 20;  // fewer blocks than the 500 requests could use
    options.max_model_len = 1024;
    options.max_tokens_per_step = 256;
    options.max_seqs_per_step = max_num_seqs;
    return options;
}

struct Probe {
    Clock::time_point asked;
    std::uint64_t asked_at_step = 0;
    double queue_wait = -1;  // ms from the question to the start of the step that admitted the request
    double ttft = -1;        // ms from the question to the end of the step that returned the first token
    std::uint64_t wait_steps = 0;
};

class Round {
  public:
    Round(const DemoModel& model, Backend& backend, int flood, std::uint64_t probe_principal)
        : model_(model),
          core_(backend, model.tokenizer,
                {.max_num_seqs = max_num_seqs,
                 .max_num_batched_tokens = backend.capacity().max_tokens_per_step,
                 .num_blocks = backend.capacity().num_blocks,
                 .max_model_len = backend.capacity().max_model_len,
                 .eos_token_ids = model.config.eos_token_ids,
                 .hash_key = {1, 2}}),
          probe_principal_(probe_principal) {
        const auto examples = demo_examples();
        for (int i = 0; i < flood; ++i) {
            Request request;
            request.id = num_probes + static_cast<RequestId>(i);
            request.prompt = model.encode(examples[static_cast<std::size_t>(i) % examples.size()].question);
            request.max_tokens = 160;
            request.ignore_eos = true;
            request.principal.id = 1;
            core_.submit(std::move(request));
        }
    }

    void run(const char* name) {
        const Clock::time_point begin = Clock::now();
        // If the client is alone, it asks each question after the previous answer. Otherwise it asks one
        // question per interval.
        const bool alone = !core_.has_work();
        if (!alone) {
            for (int i = 0; i < 8; ++i) step();
        }
        while (num_answered_ < num_probes && Clock::now() - begin < longest_round) {
            const bool due =
                alone ? num_answered_ == num_asked_ : Clock::now() >= begin + num_asked_ * interval;
            if (num_asked_ < num_probes && due) ask(alone ? Clock::now() : begin + num_asked_ * interval);
            step();
        }
        report(name);
    }

  private:
    void ask(Clock::time_point asked) {
        Request request;
        request.id = static_cast<RequestId>(num_asked_++);
        request.prompt = model_.encode(std::to_string(request.id) + " * 7");
        request.max_tokens = 32;
        request.sampling.temperature = 0;
        request.principal.id = probe_principal_;
        probes_[request.id] = {.asked = asked, .asked_at_step = events_.snapshot.steps};
        core_.submit(std::move(request));
    }

    void step() {
        if (!core_.has_work()) return;  // there is nothing to do until the next question
        const Clock::time_point begin = Clock::now();
        events_.clear();
        core_.step(events_);
        const Clock::time_point end = Clock::now();
        step_times_.push_back(Milliseconds(end - begin).count());
        for (const ProgressEvent& event : events_.progress) {
            if (event.id >= num_probes || event.phase == ProgressEvent::Phase::queued) continue;
            Probe& probe = probes_[event.id];
            if (probe.queue_wait >= 0) continue;
            probe.queue_wait = std::max(Milliseconds(begin - probe.asked).count(), 0.0);
            probe.wait_steps = events_.snapshot.steps - 1 - probe.asked_at_step;
        }
        for (const StepEvent& event : events_.events) {
            if (event.id >= num_probes) continue;
            Probe& probe = probes_[event.id];
            if (probe.ttft < 0) probe.ttft = Milliseconds(end - probe.asked).count();
            if (event.finish != FinishReason::none) ++num_answered_;
        }
    }

    void report(const char* name) const {
        std::vector<double> waits;
        std::vector<double> steps;
        std::vector<double> ttfts;
        for (const auto& [id, probe] : probes_) {
            const double so_far = Milliseconds(Clock::now() - probe.asked).count();
            const std::uint64_t steps_so_far = events_.snapshot.steps - probe.asked_at_step;
            waits.push_back(probe.queue_wait < 0 ? so_far : probe.queue_wait);
            steps.push_back(static_cast<double>(probe.queue_wait < 0 ? steps_so_far : probe.wait_steps));
            ttfts.push_back(probe.ttft < 0 ? so_far : probe.ttft);
        }
        std::printf("%-16s %8.1f %8.1f %7.0f %7.0f %9.1f %9.1f %8.2f %9d %8d %6.0f\n", name, median(waits),
                    std::ranges::max(waits), median(steps), std::ranges::max(steps), median(ttfts),
                    std::ranges::max(ttfts), median(step_times_), num_answered_,
                    static_cast<int>(events_.snapshot.num_preemptions), events_.snapshot.tokens_per_second);
    }

    const DemoModel& model_;
    EngineCore core_;
    std::uint64_t probe_principal_;
    StepEvents events_;
    std::map<RequestId, Probe> probes_;
    std::vector<double> step_times_;
    int num_asked_ = 0;
    int num_answered_ = 0;
};

}  // namespace
}  // namespace solard

int main(int argc, char** argv) {
    using namespace solard;
    const DemoModel model;
    CpuBackend backend = model.backend(backend_options(argc > 1 ? std::atoi(argv[1]) : 1));
    print_load_average();
    std::printf("%s\n%-16s %17s %15s %19s %8s %9s %8s %6s\n", backend.description().c_str(), "",
                "queue wait ms", "in steps", "first token ms", "step ms", "", "", "");
    std::printf("%-16s %8s %8s %7s %7s %9s %9s %8s %9s %8s %6s\n", "", "median", "max", "median", "max",
                "median", "max", "median", "answered", "preempt", "tok/s");
    Round(model, backend, 0, 2).run("alone, cold");
    Round(model, backend, 0, 2).run("alone");
    Round(model, backend, num_flood, 2).run("two principals");
    Round(model, backend, num_flood, 1).run("one queue");
    print_load_average();
}
