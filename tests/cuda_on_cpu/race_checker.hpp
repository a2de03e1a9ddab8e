// A stand-in for compute-sanitizer's racecheck, initcheck and memcheck: only in the race build, where kernels
// are compiled with -fsanitize=thread and its calls lead here. Elsewhere these notes do nothing.
#pragma once

#include <cstddef>

namespace cuda_on_cpu {

#ifdef SOLARD_CUDA_RACE_CHECK
// Memory that kernels may use: device memory, pinned memory, a block's shared memory. Uninitialised at first.
void note_memory(const void* address, std::size_t bytes);
void note_no_memory(const void* address);
// A block begins: its shared memory is uninitialised again.
void note_new_block(const void* shared, std::size_t bytes);
// The host, or an operation of a stream, wrote this.
void note_host_write(const void* address, std::size_t bytes);
// cp.async: the copy may happen at any time from now on, and has happened.
void note_copy_begin(const void* shared, std::size_t bytes);
void note_copy_end(const void* shared, std::size_t bytes);
// A warp operation reads memory for its lanes.
void note_read(const void* address, std::size_t bytes);
#else
inline void note_memory(const void*, std::size_t) {}
inline void note_no_memory(const void*) {}
inline void note_new_block(const void*, std::size_t) {}
inline void note_host_write(const void*, std::size_t) {}
inline void note_copy_begin(const void*, std::size_t) {}
inline void note_copy_end(const void*, std::size_t) {}
inline void note_read(const void*, std::size_t) {}
#endif

// Shared memory of one launch.
class MemoryNote {
  public:
    MemoryNote(const void* address, std::size_t bytes) : address_(address) { note_memory(address, bytes); }
    MemoryNote(const MemoryNote&) = delete;
    MemoryNote& operator=(const MemoryNote&) = delete;
    ~MemoryNote() { note_no_memory(address_); }

  private:
    const void* address_;
};

}  // namespace cuda_on_cpu
