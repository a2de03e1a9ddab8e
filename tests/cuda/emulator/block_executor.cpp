#include "tests/cuda/emulator/block_executor.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <exception>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "tests/cuda/emulator/allocate.hpp"
#include "tests/cuda/emulator/collectives.hpp"
#include "tests/cuda/emulator/fibers.hpp"
#include "tests/cuda/emulator/launch.hpp"
#include "tests/cuda/emulator/race_checker.hpp"
#include "tests/cuda/emulator/schedule.hpp"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace cuda_emulator {
namespace {

constexpr std::size_t lanes = 32;
constexpr std::size_t max_warps = max_fibers / lanes;

struct Release {
    void operator()(std::byte* memory) const { release(memory); }
};

// The lanes of one warp that have arrived at an operation.
struct Meeting {
    std::size_t arrived = 0;
    WarpOperation operation = nullptr;
    std::source_location where;
    std::array<void*, lanes> arguments{};
};

std::string place(const std::source_location& where) {
    return std::string(where.file_name()) + ":" + std::to_string(where.line()) + ":" +
           std::to_string(where.column());
}

class Executor {
  public:
    void run(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& body);

    void sync_block(const std::source_location& where);
    void meet_warp(WarpOperation operation, void* arguments, const std::source_location& where);

    [[noreturn]] void stop(const std::string& fault) {
        failure_ = std::make_exception_ptr(KernelFault(fault));
        while (true) fibers_.yield();  // yield() never returns, because nothing resumes the thread
    }

    ThreadState& current() { return threads_[current_]; }
    std::uint32_t epoch() const { return epoch_; }
    std::uint64_t block_number() const { return block_number_; }
    std::uint64_t launch_number() const { return launch_number_; }
    std::byte* shared() { return shared_.get(); }
    std::size_t shared_bytes() const { return shared_bytes_; }
    bool running() const { return running_; }
    bool on_a_stack(const void* address) const { return fibers_.owns(address); }

  private:
    void run_block();
    void take_turns();
    std::size_t choose();
    void make_ready(std::size_t thread) {
        ready_[thread / lanes] |= 1U << (thread % lanes);
        ready_warps_ |= 1U << (thread / lanes);
    }
    void make_warp_ready(std::size_t warp) {
        ready_[warp] = lanes_of(warp);
        ready_warps_ |= 1U << warp;
    }
    std::uint32_t lanes_of(std::size_t warp) const {
        const std::size_t count = std::min(lanes, num_threads_ - warp * lanes);
        return count == lanes ? ~0U : (1U << count) - 1;
    }
    void wait() { fibers_.yield(); }
    static void enter(std::size_t thread);
    [[noreturn]] void report_deadlock() const;

    Fibers fibers_;
    std::vector<ThreadState> threads_ = std::vector<ThreadState>(max_fibers);
    std::array<std::uint32_t, max_warps> ready_{};
    std::uint32_t ready_warps_ = 0;
    std::array<Meeting, max_warps> meetings_;
    std::size_t at_barrier_ = 0;
    std::size_t num_threads_ = 0;
    std::size_t num_finished_ = 0;
    std::size_t current_ = 0;
    std::uint32_t epoch_ = 0;
    std::uint64_t block_number_ = 0;
    std::uint64_t launch_number_ = 0;
    std::unique_ptr<std::byte[], Release> shared_;
    std::size_t shared_bytes_ = 0;
    const std::function<void()>* body_ = nullptr;
    std::exception_ptr failure_;
    std::minstd_rand random_;
    bool running_ = false;
};

Executor& executor() {
    static Executor instance;
    return instance;
}

void Executor::run(dim3 grid, dim3 block, std::size_t shared_bytes, const std::function<void()>& body) {
    body_ = &body;
    num_threads_ = std::size_t{block.x} * block.y * block.z;
    gridDim = grid;
    blockDim = block;
    ++launch_number_;
    random_.seed(static_cast<std::uint32_t>(schedule().seed + 977 * launch_number_));
    shared_.reset(static_cast<std::byte*>(allocate(shared_bytes)));
    shared_bytes_ = shared_bytes;
    const MemoryNote note(shared_.get(), shared_bytes);
    for (unsigned z = 0; z < grid.z; ++z) {
        for (unsigned y = 0; y < grid.y; ++y) {
            for (unsigned x = 0; x < grid.x; ++x) {
                blockIdx = {x, y, z};
                run_block();
            }
        }
    }
}

void Executor::run_block() {
    std::memset(shared_.get(), 0xff, shared_bytes_);
    ++block_number_;
    epoch_ = 0;
    at_barrier_ = 0;
    num_finished_ = 0;
    ready_warps_ = 0;
    const std::size_t num_warps = (num_threads_ + lanes - 1) / lanes;
    for (std::size_t warp = 0; warp < num_warps; ++warp) {
        meetings_[warp].arrived = 0;
        make_warp_ready(warp);
    }
    for (std::size_t i = 0; i < num_threads_; ++i) {
        ThreadState& thread = threads_[i];
        thread.index = static_cast<std::uint32_t>(i);
        thread.finished = false;
        thread.warp_epoch = 0;
        thread.copies.clear();
        thread.group_sizes.clear();
        thread.open_copies = 0;
        fibers_.prepare(i, &Executor::enter);
    }
    running_ = true;
    try {
        take_turns();
    } catch (...) {
        running_ = false;
        Unchecked::depth = 0;
        fibers_.abandon(num_threads_);
        throw;
    }
    running_ = false;
}

void Executor::take_turns() {
    while (num_finished_ < num_threads_) {
        if (ready_warps_ == 0) report_deadlock();
        current_ = choose();
        std::uint32_t& ready = ready_[current_ / lanes];
        ready &= ~(1U << (current_ % lanes));
        if (ready == 0) ready_warps_ &= ~(1U << (current_ / lanes));
        const auto index = static_cast<unsigned>(current_);
        threadIdx = {index % blockDim.x, index / blockDim.x % blockDim.y, index / blockDim.x / blockDim.y};
        fibers_.resume(current_);
        if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    }
}

// Chooses one of the threads that are ready. Takes constant time.
std::size_t Executor::choose() {
    const Order order = schedule().order;
    const auto pick = [&](std::uint32_t mask) {
        if (order == Order::forward) return std::countr_zero(mask);
        if (order == Order::reverse) return 31 - std::countl_zero(mask);
        const int turn = static_cast<int>(random_() % 32);
        return (std::countr_zero(std::rotr(mask, turn)) + turn) % 32;
    };
    const auto warp = static_cast<std::size_t>(pick(ready_warps_));
    return warp * lanes + static_cast<std::size_t>(pick(ready_[warp]));
}

void Executor::enter(std::size_t thread) {
    Executor& self = executor();
    try {
        (*self.body_)();
    } catch (...) {
        self.failure_ = std::current_exception();
    }
    self.threads_[thread].finished = true;
    ++self.num_finished_;
    self.fibers_.finish();
}

void Executor::report_deadlock() const {
    std::string text = "deadlock in block (" + std::to_string(blockIdx.x) + ", " +
                       std::to_string(blockIdx.y) + ", " + std::to_string(blockIdx.z) + "):";
    for (std::size_t i = 0; i < num_threads_; ++i) {
        const bool same = i > 0 && threads_[i].finished == threads_[i - 1].finished &&
                          threads_[i].where.line() == threads_[i - 1].where.line();
        if (same) continue;
        text += " from thread " + std::to_string(i) +
                (threads_[i].finished ? " on: ended" : " on: waits at " + place(threads_[i].where));
    }
    throw KernelFault(text);
}

void Executor::sync_block(const std::source_location& where) {
    ThreadState& thread = current();
    thread.where = where;
    if (++at_barrier_ < num_threads_) {
        wait();
        ++thread.warp_epoch;
        return;
    }
    at_barrier_ = 0;
    ++epoch_;
    for (std::size_t i = 0; i < num_threads_; ++i) {
        if (i != thread.index) make_ready(i);
    }
    ++thread.warp_epoch;
}

void Executor::meet_warp(WarpOperation operation, void* arguments, const std::source_location& where) {
    ThreadState& thread = current();
    thread.where = where;
    const std::size_t warp = thread.index / lanes;
    Meeting& meeting = meetings_[warp];
    if (lanes_of(warp) != ~0U) {
        const Unchecked own;
        throw KernelFault("a warp of fewer than 32 threads at " + place(where));
    }
    if (meeting.arrived == 0) {
        meeting.operation = operation;
        meeting.where = where;
    } else if (meeting.operation != operation || meeting.where.line() != where.line() ||
               meeting.where.column() != where.column()) {
        const Unchecked own;
        throw KernelFault("lanes of one warp meet at " + place(meeting.where) + " and at " + place(where));
    }
    meeting.arguments[thread.index % lanes] = arguments;
    if (++meeting.arrived < lanes) return wait();
    meeting.arrived = 0;
    operation(meeting.arguments);
    make_warp_ready(warp);
    // make_warp_ready() has marked this lane as ready, too, but this lane is already running.
    ready_[warp] &= ~(1U << (thread.index % lanes));
}

}  // namespace

void run_grid(dim3 grid, dim3 block, std::size_t dynamic_shared_bytes, const std::function<void()>& body) {
    executor().run(grid, block, dynamic_shared_bytes, body);
}

ThreadState& this_thread() {
    return executor().current();
}
void stop_kernel(const std::string& fault) {
    executor().stop(fault);
}
std::uint32_t block_epoch() {
    return executor().epoch();
}
std::uint64_t block_number() {
    return executor().block_number();
}
std::uint64_t launch_number() {
    return executor().launch_number();
}
std::size_t dynamic_shared_size() {
    return executor().shared_bytes();
}
bool in_kernel() {
    return executor().running();
}
bool on_a_stack(const void* address) {
    return executor().on_a_stack(address);
}

void* dynamic_shared() {
    return executor().shared();
}
void sync_block(const Where& where) {
    executor().sync_block(where);
}
void meet_warp(WarpOperation operation, void* arguments, const Where& where) {
    executor().meet_warp(operation, arguments, where);
}

}  // namespace cuda_emulator
