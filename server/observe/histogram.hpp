// A distribution over fixed buckets, as Prometheus keeps it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace solard::server {

// Allocates nothing.
class Histogram {
  public:
    static constexpr std::size_t max_buckets = 24;

    // Upper bounds, ascending, at most max_buckets; they outlive the histogram. What is above the last one
    // counts in a bucket without bound.
    explicit constexpr Histogram(std::span<const double> bounds) : bounds_(bounds) {}

    // `count` observations of one value; one that equals a bound falls into its bucket.
    void observe(double value, std::uint64_t count = 1) {
        std::size_t bucket = 0;
        while (bucket < bounds_.size() && value > bounds_[bucket]) ++bucket;
        counts_[bucket] += count;
        sum_ += value * static_cast<double>(count);
    }

    std::span<const double> bounds() const { return bounds_; }
    std::uint64_t count_in(std::size_t bucket) const { return counts_[bucket]; }  // [0, bounds().size()]
    double sum() const { return sum_; }

  private:
    std::span<const double> bounds_;
    std::array<std::uint64_t, max_buckets + 1> counts_{};
    double sum_ = 0;
};

}  // namespace solard::server
