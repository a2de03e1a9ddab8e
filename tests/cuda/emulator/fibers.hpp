// Fibers that act as the threads of a block: their stacks, and the switching between fibers.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

namespace cuda_emulator {

inline constexpr std::size_t max_fibers = 1024;
inline constexpr std::size_t stack_bytes = std::size_t{256} * 1024;

// A set of fibers. At any time, only one thing runs: one of the fibers, or the code that called resume().
class Fibers {
  public:
    Fibers();
    Fibers(const Fibers&) = delete;
    Fibers& operator=(const Fibers&) = delete;
    ~Fibers();

    // Prepares fiber `index`: its first resume() calls entry(index). `entry` must end by calling finish() and
    // must never return.
    void prepare(std::size_t index, void (*entry)(std::size_t index));
    // Runs the fiber until it yields or finishes.
    void resume(std::size_t index);
    // Must be called by the running fiber. Switches to the caller of resume(), and returns when the fiber is
    // resumed again.
    void yield();
    // Must be called by the running fiber. Switches to the caller of resume() for the last time.
    [[noreturn]] void finish();
    // Is called after a failure: the first `count` fibers never run again. Objects on their stacks are not
    // destroyed.
    void abandon(std::size_t count);

    // Returns whether the address lies on a fiber's stack.
    bool owns(const void* address) const {
        const auto* const byte = static_cast<const std::byte*>(address);
        return byte >= arena_ && byte < arena_ + arena_bytes();
    }

  private:
    static constexpr std::size_t guard_bytes = 4096;
    static constexpr std::size_t arena_bytes() { return max_fibers * (stack_bytes + guard_bytes); }
    std::byte* stack(std::size_t index) const {
        return arena_ + index * (stack_bytes + guard_bytes) + guard_bytes;
    }
    static void start(boost::context::detail::transfer_t from);

    std::byte* arena_;
    boost::context::detail::fcontext_t contexts_[max_fibers] = {};
    void (*entries_[max_fibers])(std::size_t) = {};
    boost::context::detail::fcontext_t caller_ = nullptr;
    std::size_t running_ = 0;
    // AddressSanitizer's data about the stacks of the caller and of the fibers.
    [[maybe_unused]] void* caller_fake_stack_ = nullptr;
    [[maybe_unused]] const void* caller_stack_ = nullptr;
    [[maybe_unused]] std::size_t caller_stack_bytes_ = 0;
    [[maybe_unused]] void* fake_stacks_[max_fibers] = {};
};

}  // namespace cuda_emulator
