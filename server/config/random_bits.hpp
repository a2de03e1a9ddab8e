// Unpredictable bits for ids, tickets and the seeds of requests that set no seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>

#include "server/config/text.hpp"

namespace solard::server {

// I/O thread only.
inline std::uint64_t random_bits() {
    static std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
}

// Returns random hexadecimal digits, each of four random bits. I/O thread only.
inline std::string random_hex(std::size_t num_digits = 32) {
    std::string text;
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < num_digits; ++i, bits >>= 4) {
        if (i % 16 == 0) bits = random_bits();
        text += hex_digits[bits & 15];
    }
    return text;
}

}  // namespace solard::server
