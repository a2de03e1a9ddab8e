// Memory which is reserved for an asynchronous operation before the operation starts.
#pragma once

#include <array>
#include <boost/asio/bind_allocator.hpp>
#include <cstddef>
#include <new>
#include <utility>

namespace solard::server {

// Asio allocates memory when an operation starts. If a coroutine awaits the operation and this allocation
// fails, Asio destroys the coroutine, so the coroutine cannot catch the exception. An operation which uses an
// OperationMemory allocates nothing, unless it needs more than `size` bytes or another operation uses the
// memory. Only one thread at a time may use an OperationMemory, which must outlive the operation.
template <std::size_t size = 512>
class OperationMemory {
  public:
    OperationMemory() = default;
    OperationMemory(const OperationMemory&) = delete;
    OperationMemory& operator=(const OperationMemory&) = delete;

    void* allocate(std::size_t num_bytes) {
        if (in_use_ || num_bytes > size) return ::operator new(num_bytes);
        in_use_ = true;
        return bytes_.data();
    }
    void deallocate(void* memory) noexcept {
        if (memory != bytes_.data()) return ::operator delete(memory);
        in_use_ = false;
    }

  private:
    alignas(std::max_align_t) std::array<std::byte, size> bytes_;
    bool in_use_ = false;
};

// The allocator which Asio needs to use an OperationMemory.
template <class T, std::size_t size>
class OperationAllocator {
  public:
    using value_type = T;
    template <class Other>
    struct rebind {
        using other = OperationAllocator<Other, size>;
    };

    explicit OperationAllocator(OperationMemory<size>& memory) : memory_(&memory) {}
    template <class Other>
    OperationAllocator(const OperationAllocator<Other, size>& other) : memory_(other.memory_) {}

    T* allocate(std::size_t count) { return static_cast<T*>(memory_->allocate(count * sizeof(T))); }
    void deallocate(T* memory, std::size_t) noexcept { memory_->deallocate(memory); }
    friend bool operator==(const OperationAllocator&, const OperationAllocator&) = default;

  private:
    template <class, std::size_t>
    friend class OperationAllocator;
    OperationMemory<size>* memory_;
};

// Returns a completion token or handler whose operation uses `memory`.
template <std::size_t size, class Token>
auto with_memory(OperationMemory<size>& memory, Token&& token) {
    return boost::asio::bind_allocator(OperationAllocator<std::byte, size>(memory),
                                       std::forward<Token>(token));
}

}  // namespace solard::server
