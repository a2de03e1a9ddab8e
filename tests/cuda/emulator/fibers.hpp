// The fibers that stand for a block's threads: their stacks, and switching between them.
#pragma once

#include <boost/context/detail/fcontext.hpp>
#include <cstddef>

namespace cuda_emulator {

inline constexpr std::size_t max_fibers = 1024;
inline constexpr std::size_t stack_bytes = std::size_t{256} * 1024;

// Either one fiber runs, or the caller that started them.
class Fibers {
  public:
    Fibers();
    Fibers(const Fibers&) = delete;
    Fibers& operator=(const Fibers&) = delete;
    ~Fibers();

    // Prepares fiber `index` to run entry(index) when it first gets a turn. It must end by finish(), never by
    // returning.
    void prepare(std::size_t index, void (*entry)(std::size_t index));
    // The caller calls this: runs the fiber until it yields or finishes.
    void resume(std::size_t index);
    // The running fiber calls this: returns to the caller until the next turn.
    void yield();
    // The running fiber calls this: returns to the caller for good.
    [[noreturn]] void finish();
    // Abandons fibers that will not run again after a failure. What their stack frames own is leaked.
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
    // What AddressSanitizer knows of the caller's stack.
    [[maybe_unused]] void* caller_fake_stack_ = nullptr;
    [[maybe_unused]] const void* caller_stack_ = nullptr;
    [[maybe_unused]] std::size_t caller_stack_bytes_ = 0;
    [[maybe_unused]] void* fake_stacks_[max_fibers] = {};
};

}  // namespace cuda_emulator
