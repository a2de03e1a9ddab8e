// Unpredictable bits for ids and for the seeds of requests that name none.
#pragma once

#include <cstdint>
#include <random>

namespace solard {

// I/O thread only.
inline std::uint64_t random_bits() {
    static std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
}

}  // namespace solard
