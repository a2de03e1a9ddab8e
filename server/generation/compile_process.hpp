// Compiles grammars in a child process of the same program, which is ended if a grammar takes too long.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "inference/grammar/compiler.hpp"
#include "inference/grammar/vocabulary.hpp"
#include "server/config/error.hpp"

namespace solard::server {

// The first argument of such a child process; the second one is its limit of memory.
inline constexpr const char* compile_command = "compile-grammar";

struct CompileLimits {
    std::chrono::steady_clock::duration time{};  // in all, from the start of the process
    std::uint64_t memory = 0;                    // bytes of address space, at least 1
};

// The vocabulary in a file without a name, which the child processes inherit. Immutable; any thread may use
// it.
class SharedVocabulary {
  public:
    // Throws std::system_error if the file cannot be made.
    explicit SharedVocabulary(const GrammarVocabulary& vocabulary);
    ~SharedVocabulary();
    SharedVocabulary(const SharedVocabulary&) = delete;
    SharedVocabulary& operator=(const SharedVocabulary&) = delete;

    int descriptor() const { return descriptor_; }

  private:
    int descriptor_;
};

// Returns what compile_grammar() returns in a child process. Blocks the calling thread until the process has
// ended. Errors: invalid_value if the grammar is wrong, cannot be followed exactly, or needs more than the
// limits; server_overloaded if the time has passed but the process hardly ran; server_error if there is no
// child process.
result<std::string> compile_in_child(const GrammarSource& source, const SharedVocabulary& vocabulary,
                                     const CompileLimits& limits);

// Returns the error for a process that has used this much time of a processor when its time was over.
Error late_error(std::chrono::microseconds used, const CompileLimits& limits);

// What the child process does: reads a grammar from stdin and the vocabulary from descriptor 3, and writes
// the result to stdout. Returns its exit code. `memory_limit` is a number of bytes.
int run_compile_child(std::string_view memory_limit);

}  // namespace solard::server
