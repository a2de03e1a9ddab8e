// Unpredictable bits for ids, tickets and the seeds of requests that set no seed.
#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace solard::server {

// I/O thread only.
inline std::uint64_t random_bits() {
    static std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
}

// Returns 128 random bits as 32 hexadecimal digits. I/O thread only.
inline std::string random_hex() {
    std::string text;
    for (int word = 0; word < 2; ++word) {
        auto bits = random_bits();
        for (int i = 0; i < 16; ++i, bits >>= 4) text += "0123456789abcdef"[bits & 15];
    }
    return text;
}

}  // namespace solard::server
