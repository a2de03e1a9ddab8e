#include <cstdlib>

#include "tests/cuda/unit/device_library.hpp"

namespace solard::cuda {

CublasLt device_library(const std::filesystem::path& wanted) {
    const char* const named = std::getenv("SOLARD_CUBLASLT");
    return CublasLt::open(wanted.empty() && named != nullptr ? std::filesystem::path(named) : wanted).value();
}
bool device_is_emulated() {
    return false;
}
void propose_algorithms(int) {}
std::uint64_t products_computed() {
    return 0;
}
std::uint64_t products_computed_by(int) {
    return 0;
}
DeviceCounters device_counters() {
    return {};
}
void fail_launch(std::uint64_t) {}
void unload_kernels() {}
void set_device_memory(std::size_t) {}
void forget_failures() {}
RandomSchedule::RandomSchedule(std::uint64_t) {}
RandomSchedule::~RandomSchedule() = default;

}  // namespace solard::cuda
