#include "inference/cpu/thread_pool.hpp"

#include "inference/sizes.hpp"

namespace solard {
namespace {

constexpr std::uint32_t open_bit = 1;
constexpr std::uint32_t one_inside = 2;
constexpr std::uint32_t inside_mask = 0x3ff << 1;
constexpr std::uint32_t one_job = 1 << 11;
constexpr int spins_before_blocking = 2000;  // about 20 to 80 microseconds

void pause_cpu() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

// Waits until wanted(value) is true for the value of the gate, and returns this value.
template <class Wanted>
std::uint32_t wait_for(const std::atomic<std::uint32_t>& gate, const Wanted& wanted) {
    std::uint32_t value = gate.load(std::memory_order_acquire);
    for (int spin = 0; !wanted(value); value = gate.load(std::memory_order_acquire)) {
        if (++spin < spins_before_blocking) {
            pause_cpu();
        } else {
            gate.wait(value, std::memory_order_acquire);
        }
    }
    return value;
}

}  // namespace

ThreadPool::ThreadPool(int num_threads) {
    workers_.reserve(count_of(num_threads - 1));
    for (int worker = 1; worker < num_threads; ++worker) {
        workers_.emplace_back([this, worker] { worker_loop(worker); });
    }
}

ThreadPool::~ThreadPool() {
    stopping_.store(true, std::memory_order_relaxed);
    gate_.fetch_add(one_job, std::memory_order_release);
    gate_.notify_all();
    for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run() {
    next_item_.store(0, std::memory_order_relaxed);
    gate_.fetch_add(one_job | open_bit, std::memory_order_release);
    gate_.notify_all();
    work_off_items(0);
    gate_.fetch_and(~open_bit, std::memory_order_acq_rel);
    wait_for(gate_, [](std::uint32_t gate) { return (gate & inside_mask) == 0; });
}

void ThreadPool::work_off_items(int worker) {
    std::size_t item = next_item_.fetch_add(1, std::memory_order_relaxed);
    while (item < job_.count) {
        job_.call(job_.context, item, worker);
        item = next_item_.fetch_add(1, std::memory_order_relaxed);
    }
}

void ThreadPool::worker_loop(int worker) {
    std::uint32_t last_job = 0;
    for (;;) {
        std::uint32_t gate =
            wait_for(gate_, [&](std::uint32_t value) { return value / one_job != last_job; });
        if (stopping_.load(std::memory_order_relaxed)) return;
        if ((gate & open_bit) == 0) {
            last_job = gate / one_job;  // This worker is too late: no item of the job is left.
            continue;
        }
        if (!gate_.compare_exchange_weak(gate, gate + one_inside, std::memory_order_acq_rel)) continue;
        last_job = gate / one_job;
        work_off_items(worker);
        gate = gate_.fetch_sub(one_inside, std::memory_order_acq_rel) - one_inside;
        if ((gate & (open_bit | inside_mask)) == 0) gate_.notify_all();
    }
}

}  // namespace solard
