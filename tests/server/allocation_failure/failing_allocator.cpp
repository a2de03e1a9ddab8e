#include "tests/server/allocation_failure/failing_allocator.hpp"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "inference/model/tokenizer.hpp"

namespace solard {
namespace {

thread_local bool is_exempt = false;
// Each counted allocation reduces this number by 1. The allocation that reduces it from 1 to 0 fails. If the
// number is already 0, no allocation fails.
std::atomic<std::int64_t> num_left{0};

bool fails_now() {
    return !is_exempt && num_left.load(std::memory_order_relaxed) > 0 && num_left.fetch_sub(1) == 1;
}

void* allocate(std::size_t size, std::size_t alignment) {
    if (fails_now()) return nullptr;
    if (alignment <= alignof(std::max_align_t)) return std::malloc(size == 0 ? 1 : size);
    return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment = 1) {
    if (void* memory = allocate(size, alignment)) return memory;
    throw std::bad_alloc();
}

}  // namespace

void exempt_this_thread() {
    is_exempt = true;
}

void fail_allocation(std::uint64_t number) {
    num_left = static_cast<std::int64_t>(number);
}

bool stop_failing() {
    return num_left.exchange(0) <= 0;
}

}  // namespace solard

// With the option --wrap, the linker replaces each call of aligned_alloc() by a call of
// __wrap_aligned_alloc(). Boost.Asio uses aligned_alloc(), and not operator new, for the memory of coroutine
// frames and of handlers.
// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): the names are the linker's
extern "C" void* __real_aligned_alloc(std::size_t alignment, std::size_t size);
extern "C" void* __wrap_aligned_alloc(std::size_t alignment, std::size_t size) {
    return solard::fails_now() ? nullptr : __real_aligned_alloc(alignment, size);
}
// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)

// SentencePiece ends the process if an allocation fails, so none of its own allocations fails here. Instead,
// each call of Tokenizer::encode() and encode_chat() counts as a single allocation: it stands for the
// allocation by which the tokenizer makes sure that there is enough memory. The linker replaces each call of
// these functions by a call of encode_without_failure().
namespace solard {
using TokenIds = std::vector<TokenId>;
result<TokenIds>
encode_without_failure(const Tokenizer& tokenizer, std::string_view text, EncodeOptions options) asm(
    "__wrap__ZNK6solard9Tokenizer6encodeESt17basic_string_viewIcSt11char_traitsIcEENS_13EncodeOptionsE");
result<TokenIds> really_encode(const Tokenizer& tokenizer, std::string_view text, EncodeOptions options) asm(
    "__real__ZNK6solard9Tokenizer6encodeESt17basic_string_viewIcSt11char_traitsIcEENS_13EncodeOptionsE");
result<TokenIds> encode_without_failure(
    const Tokenizer& tokenizer, const MarkedText& text,
    bool add_special_tokens) asm("__wrap__ZNK6solard9Tokenizer11encode_chatERKNS_10MarkedTextEb");
result<TokenIds> really_encode(
    const Tokenizer& tokenizer, const MarkedText& text,
    bool add_special_tokens) asm("__real__ZNK6solard9Tokenizer11encode_chatERKNS_10MarkedTextEb");

template <class Text, class Options>
result<TokenIds> encode_exempt(const Tokenizer& tokenizer, const Text& text, Options options) {
    if (fails_now()) throw std::bad_alloc();
    const bool was_exempt = std::exchange(is_exempt, true);
    auto token_ids = really_encode(tokenizer, text, options);
    is_exempt = was_exempt;
    return token_ids;
}
result<TokenIds> encode_without_failure(const Tokenizer& tokenizer, std::string_view text,
                                        EncodeOptions options) {
    return encode_exempt(tokenizer, text, options);
}
result<TokenIds> encode_without_failure(const Tokenizer& tokenizer, const MarkedText& text,
                                        bool add_special_tokens) {
    return encode_exempt(tokenizer, text, add_special_tokens);
}
}  // namespace solard

// These operators replace the standard operators in the whole executable. The standard operators new[] and
// delete[] call these operators.
void* operator new(std::size_t size) {
    return solard::allocate_or_throw(size);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return solard::allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return solard::allocate(size, 1);
}
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return solard::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}
