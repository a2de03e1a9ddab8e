// In which order the threads of a block take their turns, and how late an asynchronous copy arrives.
#pragma once

#include <cstdint>
#include <string>

namespace cuda_emulator {

enum class Order { forward, reverse, random };
enum class CopyTime {
    late,   // when somebody waits for it: shows a wait that is missing
    early,  // at once: shows a buffer that is overwritten too soon
    mixed,  // by the seed
};

struct Schedule {
    Order order = Order::forward;
    CopyTime copy_time = CopyTime::late;
    std::uint64_t seed = 0;
};

// For all launches from now on. At the start it is that of the environment's SOLARD_CUDA_SCHEDULE: "forward"
// (late copies), "reverse" (early) or "random:SEED" (mixed); forward where there is none.
void set_schedule(const Schedule& schedule);
const Schedule& schedule();
// Throws std::invalid_argument.
Schedule parse_schedule(const std::string& text);

}  // namespace cuda_emulator
