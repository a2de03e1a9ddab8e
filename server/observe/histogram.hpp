// A distribution over fixed buckets in the form that Prometheus uses.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace solard::server {

// This class allocates no memory.
class Histogram {
  public:
    static constexpr std::size_t max_buckets = 24;

    // `bounds` are the upper bounds of the buckets. There must be at most max_buckets bounds, in ascending
    // order, and they must outlive the histogram. Values above the last bound are counted in one more bucket.
    explicit constexpr Histogram(std::span<const double> bounds) : bounds_(bounds) {}

    // Counts `count` observations of one value. A value that equals a bound is counted in the bucket of that
    // bound.
    void observe(double value, std::uint64_t count = 1) {
        std::size_t bucket = 0;
        while (bucket < bounds_.size() && value > bounds_[bucket]) ++bucket;
        counts_[bucket] += count;
        sum_ += value * static_cast<double>(count);
    }

    std::span<const double> bounds() const { return bounds_; }
    // `bucket` must be at most bounds().size().
    std::uint64_t count_in(std::size_t bucket) const { return counts_[bucket]; }
    double sum() const { return sum_; }

  private:
    std::span<const double> bounds_;
    std::array<std::uint64_t, max_buckets + 1> counts_{};
    double sum_ = 0;
};

}  // namespace solard::server
