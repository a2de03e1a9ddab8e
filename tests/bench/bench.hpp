// Functions that the benchmarks share. Benchmarks only print their results; no test checks a time.
#pragma once

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

namespace solard {

inline void print_load_average() {
    std::string load;
    std::getline(std::ifstream("/proc/loadavg"), load);
    std::printf("load average %s\n", load.c_str());
}

// Returns the median, or 0 if there are no samples. If there are two middle values, returns the larger value.
inline double median(std::vector<double> samples) {
    if (samples.empty()) return 0;
    const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
    std::ranges::nth_element(samples, middle);
    return *middle;
}

}  // namespace solard
