// Random numbers that depend on the seed only.
#pragma once

#include <cstdint>
#include <random>

namespace solard {

class SeededRandom {
  public:
    explicit SeededRandom(std::uint64_t seed) : engine_(seed) {}

    std::uint64_t operator()() { return engine_(); }
    // Returns a number in [low, high]. std::uniform_int_distribution is not used, because its results differ
    // between standard libraries.
    int between(int low, int high) {
        return low + static_cast<int>(engine_() % static_cast<std::uint64_t>(high - low + 1));
    }
    // Returns true with this probability.
    bool chance(double probability) { return static_cast<double>(engine_() >> 11) * 0x1p-53 < probability; }

  private:
    std::mt19937_64 engine_;
};

}  // namespace solard
