// The part of the simulation that checks fair shares, with loads in which the order of service is evident.
#include <algorithm>
#include <map>
#include <string>

#include "tests/simulation/seeded_random.hpp"
#include "tests/simulation/simulation.hpp"
#include "tests/support/scheduler_rig.hpp"

namespace solard {
namespace {

class Fairness {
  public:
    explicit Fairness(std::uint64_t seed) : random_(seed) {}

    void run() {
        principals_take_turns();
        a_newcomer_comes_before_a_second_sequence();
        a_short_prompt_passes_a_long_one();
    }

  private:
    void require(bool condition, const char* problem) const {
        if (!condition) throw SimulationFailure(std::string("fair share: ") + problem);
    }

    // All principals wait for the only slot. At any time, the numbers of started requests of two principals
    // differ by at most one.
    void principals_take_turns() {
        const int num_principals = random_.between(2, 5);
        Rig rig({.max_num_seqs = 1, .num_blocks = 16, .max_model_len = 128});
        const auto principal_of = [&](RequestId id) { return id % static_cast<RequestId>(num_principals); };
        const auto count = static_cast<RequestId>(6 * num_principals);
        for (RequestId id = 0; id < count; ++id) {
            rig.add(id, random_.between(1, 60), random_.between(1, 40), principal_of(id));
        }
        while (rig.outcomes.size() < count) {
            std::map<RequestId, int> served;
            for (int p = 0; p < num_principals; ++p) served[static_cast<RequestId>(p)] = 0;
            for (const auto& [id, outcome] : rig.outcomes) ++served[principal_of(id)];
            const auto by_count = [](const auto& a, const auto& b) { return a.second < b.second; };
            const auto [least, most] = std::minmax_element(served.begin(), served.end(), by_count);
            require(most->second - least->second <= 1, "a principal was served twice before another one");
            rig.step();
        }
    }

    // One principal uses all slots or all blocks. A newcomer starts in the next step.
    void a_newcomer_comes_before_a_second_sequence() {
        const int slots = random_.between(2, 8);
        const bool few_blocks = random_.between(0, 1) == 1;
        Rig rig({.max_num_seqs = slots,
                 .max_num_batched_tokens = 256,
                 .num_blocks = few_blocks ? 4 * slots : 512,
                 .max_model_len = few_blocks ? 64 * slots : 1024});
        for (RequestId id = 1; id <= 20; ++id) rig.add(id, few_blocks ? 50 : random_.between(1, 60), 64, 1);
        for (int i = random_.between(2, 12); i > 0; --i) rig.step();
        const int num_newcomers = random_.between(1, std::min(slots - 1, 3));
        for (int i = 0; i < num_newcomers; ++i) {
            const auto id = static_cast<RequestId>(100 + i);
            const bool holds_two = rig.scheduler.snapshot().num_running - i >= 2;
            rig.add(id, random_.between(1, 14), 40, id);
            rig.step();
            require(!holds_two || rig.outcomes.contains(id),
                    "a newcomer waits although another principal runs two sequences");
        }
    }

    void a_short_prompt_passes_a_long_one() {
        const int budget = random_.between(64, 256);
        Rig rig(
            {.max_num_seqs = 4, .max_num_batched_tokens = budget, .num_blocks = 512, .max_model_len = 8192});
        rig.add(1, 4000, 1, 1);
        rig.step();
        require(rig.batch.num_tokens() == budget, "a long prompt leaves budget unused");
        rig.add(2, random_.between(1, budget / 8), 1, 2);
        rig.step();
        require(rig.outcomes.contains(2), "a short prompt waits for a long one of another principal");
    }

    SeededRandom random_;
};

}  // namespace

void simulate_fairness(std::uint64_t seed) {
    Fairness(seed).run();
}

}  // namespace solard
