// A stand-in for compute-sanitizer's racecheck, initcheck and memcheck: only in the race build, where kernels
// are compiled with -fsanitize=thread and its calls lead here. Elsewhere these notes do nothing.
#pragma once

#include <cstddef>

namespace cuda_emulator {

#ifdef SOLARD_CUDA_RACE_CHECK
// Memory that kernels may use: the device's, or a block's shared memory. Uninitialised at first, shared
// memory again with each block.
void note_memory(const void* address, std::size_t bytes, bool shared = false);
void note_no_memory(const void* address);
// The host, or an operation of a stream, wrote this.
void note_host_write(const void* address, std::size_t bytes);
// cp.async: the copy may happen at any time from now on, and has happened.
void note_copy_begin(const void* shared, std::size_t bytes);
void note_copy_end(const void* shared, std::size_t bytes);
// A warp operation reads memory for its lanes.
void note_read(const void* address, std::size_t bytes);
// An atomic operation reads and writes it.
void note_atomic(const void* address, std::size_t bytes);
#else
inline void note_memory(const void*, std::size_t, bool = false) {}
inline void note_no_memory(const void*) {}
inline void note_host_write(const void*, std::size_t) {}
inline void note_copy_begin(const void*, std::size_t) {}
inline void note_copy_end(const void*, std::size_t) {}
inline void note_read(const void*, std::size_t) {}
inline void note_atomic(const void*, std::size_t) {}
#endif

// While one lives, accesses are the layer's own and not looked at: templates of the standard library that
// kernels use too are instrumented for everybody. Not across a change of fibers.
class Unchecked {
  public:
    Unchecked() { ++depth; }
    Unchecked(const Unchecked&) = delete;
    Unchecked& operator=(const Unchecked&) = delete;
    ~Unchecked() { --depth; }
    static inline int depth = 0;
};

// Shared memory of one launch.
class MemoryNote {
  public:
    MemoryNote(const void* address, std::size_t bytes) : address_(address) {
        note_memory(address, bytes, true);
    }
    MemoryNote(const MemoryNote&) = delete;
    MemoryNote& operator=(const MemoryNote&) = delete;
    ~MemoryNote() { note_no_memory(address_); }

  private:
    const void* address_;
};

}  // namespace cuda_emulator
