#include "tests/cuda/emulator/fibers.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SOLARD_ASAN(call) call
#else
#define SOLARD_ASAN(call)
#endif

namespace cuda_emulator {
namespace {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

struct Start {
    Fibers* fibers;
    std::size_t index;
};

}  // namespace

Fibers::Fibers() {
    void* const memory = mmap(nullptr, arena_bytes(), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    arena_ = static_cast<std::byte*>(memory);
    for (std::size_t i = 0; i < max_fibers; ++i) mprotect(stack(i) - guard_bytes, guard_bytes, PROT_NONE);
}

Fibers::~Fibers() {
    munmap(arena_, arena_bytes());
}

void Fibers::start(transfer_t from) {
    Fibers& fibers = **static_cast<Fibers**>(from.data);
    fibers.caller_ = from.fctx;
    SOLARD_ASAN(__sanitizer_finish_switch_fiber(nullptr, &fibers.caller_stack_, &fibers.caller_stack_bytes_));
    fibers.entries_[fibers.running_](fibers.running_);
    std::abort();
}

void Fibers::prepare(std::size_t index, void (*entry)(std::size_t index)) {
    entries_[index] = entry;
    contexts_[index] = make_fcontext(stack(index) + stack_bytes, stack_bytes, &Fibers::start);
}

void Fibers::resume(std::size_t index) {
    running_ = index;
    Fibers* self = this;
    SOLARD_ASAN(__sanitizer_start_switch_fiber(&caller_fake_stack_, stack(index), stack_bytes));
    const transfer_t back = jump_fcontext(contexts_[index], &self);
    SOLARD_ASAN(__sanitizer_finish_switch_fiber(caller_fake_stack_, nullptr, nullptr));
    contexts_[index] = back.fctx;
}

void Fibers::yield() {
    [[maybe_unused]] const std::size_t index = running_;
    SOLARD_ASAN(__sanitizer_start_switch_fiber(&fake_stacks_[index], caller_stack_, caller_stack_bytes_));
    const transfer_t back = jump_fcontext(caller_, nullptr);
    SOLARD_ASAN(__sanitizer_finish_switch_fiber(fake_stacks_[index], &caller_stack_, &caller_stack_bytes_));
    caller_ = back.fctx;
}

void Fibers::finish() {
    // A null pointer for the fake stack tells the sanitizer that this fiber ends. The fiber's top frames
    // never return, so the sanitizer's guards around these frames are still set. The next call removes the
    // guards, before the stack is used again.
    SOLARD_ASAN(__asan_unpoison_memory_region(stack(running_) + stack_bytes - 4096, 4096));
    SOLARD_ASAN(__sanitizer_start_switch_fiber(nullptr, caller_stack_, caller_stack_bytes_));
    jump_fcontext(caller_, nullptr);
    std::abort();
}

void Fibers::abandon([[maybe_unused]] std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        SOLARD_ASAN(__asan_unpoison_memory_region(stack(i), stack_bytes));
    }
}

}  // namespace cuda_emulator
