// Stacks and switches of the fibers that stand for a block's threads.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

namespace cuda_emulator {

inline constexpr std::size_t max_fibers = 1024;
inline constexpr std::size_t stack_bytes = std::size_t{256} * 1024;

// One fiber at a time runs, or the caller that started them.
class Fibers {
  public:
    Fibers();
    Fibers(const Fibers&) = delete;
    Fibers& operator=(const Fibers&) = delete;
    ~Fibers();

    // Prepares fiber `index` to run entry(index) at its first turn. It must end by finish(), never by
    // returning.
    void prepare(std::size_t index, void (*entry)(std::size_t index));
    // From the caller: runs the fiber until it yields or finishes.
    void resume(std::size_t index);
    // From the running fiber: back to the caller, until the next turn.
    void yield();
    // From the running fiber: back to the caller for good.
    [[noreturn]] void finish();
    // Fibers that will not run again, after a failure: what their frames own is lost.
    void abandon(std::size_t count);

    // Does the address lie on a fiber's stack?
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
    // AddressSanitizer's picture of the caller's stack.
    [[maybe_unused]] void* caller_fake_stack_ = nullptr;
    [[maybe_unused]] const void* caller_stack_ = nullptr;
    [[maybe_unused]] std::size_t caller_stack_bytes_ = 0;
    [[maybe_unused]] void* fake_stacks_[max_fibers] = {};
};

}  // namespace cuda_emulator
