// A stand-in for compute-sanitizer's racecheck, initcheck and memcheck. It works in the race build only, in
// which kernels are compiled with -fsanitize=thread and the inserted calls end here. In other builds these
// functions do nothing.
#pragma once

#include <cstddef>

namespace cuda_emulator {

#ifdef SOLARD_CUDA_RACE_CHECK
// Register memory that kernels may use: the device's, or a block's shared memory. It is uninitialised at
// first, and shared memory is uninitialised again with each block.
void note_memory(const void* address, std::size_t bytes, bool shared = false);
void note_no_memory(const void* address);
// Notes that the host, or an operation in a stream, wrote this memory.
void note_host_write(const void* address, std::size_t bytes);
// Note that a copy by cp.async may happen at any time from now on, and that it has happened.
void note_copy_begin(const void* shared, std::size_t bytes);
void note_copy_end(const void* shared, std::size_t bytes);
// Notes that a warp operation reads memory for its lanes.
void note_read(const void* address, std::size_t bytes);
// Notes that an atomic operation reads and writes the memory.
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

// While an object of this type exists, accesses belong to the emulator and are not checked. This is needed
// because templates of the standard library that kernels use too are instrumented for everyone. An object
// must not live across a change of fibers.
class Unchecked {
  public:
    Unchecked() { ++depth; }
    Unchecked(const Unchecked&) = delete;
    Unchecked& operator=(const Unchecked&) = delete;
    ~Unchecked() { --depth; }
    static inline int depth = 0;
};

// Registers the shared memory of one launch.
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
