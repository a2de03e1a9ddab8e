// Counters about the compiling of grammars.
#pragma once

#include <cstdint>

namespace solard::server {

struct GrammarCounts {
    std::uint64_t compiled = 0;
    std::uint64_t refused = 0;  // wrong, or more work than the limits allow
    std::uint64_t cache_hits = 0;
    double compile_seconds = 0;  // of all that were compiled or refused
};

}  // namespace solard::server
