// A replacement for compute-sanitizer's racecheck, initcheck and memcheck, for the race build only. In that
// build, kernels are compiled with -fsanitize=thread, and race_checker.cpp defines the functions to which the
// compiler inserts calls. In other builds, the functions below do nothing.
#pragma once

#include <cstddef>

namespace cuda_emulator {

#ifdef SOLARD_CUDA_RACE_CHECK
// note_memory() registers memory that kernels may use, either device memory or a block's shared memory.
// note_no_memory() ends the registration. Memory is uninitialised at first; shared memory becomes
// uninitialised again when a block starts.
void note_memory(const void* address, std::size_t bytes, bool shared = false);
void note_no_memory(const void* address);
// Notes that the host, or an operation in a stream, wrote this memory.
void note_host_write(const void* address, std::size_t bytes);
// note_copy_begin() notes that a copy by cp.async may happen at any time from now on. note_copy_end() notes
// that the copy has happened.
void note_copy_begin(const void* shared, std::size_t bytes);
void note_copy_end(const void* shared, std::size_t bytes);
// Notes that ldmatrix or cp.async reads the memory.
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

// While an object of this type exists, accesses are not checked, because the emulator itself makes them. The
// emulator's code is not instrumented, but it shares templates of the standard library with kernels, and the
// linker may keep the instrumented copy of a template. No object of this type may exist while fibers switch.
class Unchecked {
  public:
    Unchecked() { ++depth; }
    Unchecked(const Unchecked&) = delete;
    Unchecked& operator=(const Unchecked&) = delete;
    ~Unchecked() { --depth; }
    static inline int depth = 0;
};

// Registers the shared memory of one launch as long as the object exists.
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
