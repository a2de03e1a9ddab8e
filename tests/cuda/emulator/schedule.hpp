// The order in which the threads of a block run, and the time at which an asynchronous copy arrives.
#pragma once

#include <cstdint>
#include <string>

namespace cuda_emulator {

enum class Order { forward, reverse, random };
enum class CopyTime {
    late,   // a copy happens when the thread waits for it; this reveals a missing wait
    early,  // a copy happens immediately; this reveals a buffer that is overwritten too early
    mixed,  // the seed decides for each copy
};

struct Schedule {
    Order order = Order::forward;
    CopyTime copy_time = CopyTime::late;
    std::uint64_t seed = 0;
};

// Sets the schedule of all launches from now on. The initial schedule comes from the environment variable
// SOLARD_CUDA_SCHEDULE: "forward" (late copies), "reverse" (early copies) or "random:SEED" (mixed copies).
// Without the variable, the initial schedule is "forward".
void set_schedule(const Schedule& schedule);
const Schedule& schedule();
// Parses the text of SOLARD_CUDA_SCHEDULE. Throws std::invalid_argument.
Schedule parse_schedule(const std::string& text);

}  // namespace cuda_emulator
