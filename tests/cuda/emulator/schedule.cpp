#include "tests/cuda/emulator/schedule.hpp"

#include <charconv>
#include <cstdlib>
#include <stdexcept>

namespace cuda_emulator {
namespace {

Schedule from_environment() {
    const char* const text = std::getenv("SOLARD_CUDA_SCHEDULE");
    return text == nullptr ? Schedule{} : parse_schedule(text);
}

Schedule& current() {
    static Schedule schedule = from_environment();
    return schedule;
}

}  // namespace

void set_schedule(const Schedule& schedule) {
    current() = schedule;
}

const Schedule& schedule() {
    return current();
}

Schedule parse_schedule(const std::string& text) {
    if (text == "forward") return {};
    if (text == "reverse") return {.order = Order::reverse, .copy_time = CopyTime::early};
    const std::string prefix = "random:";
    Schedule schedule{.order = Order::random, .copy_time = CopyTime::mixed};
    const char* const end = text.data() + text.size();
    if (text.starts_with(prefix) &&
        std::from_chars(text.data() + prefix.size(), end, schedule.seed).ptr == end) {
        return schedule;
    }
    throw std::invalid_argument("a schedule is forward, reverse or random:SEED, not " + text);
}

}  // namespace cuda_emulator
