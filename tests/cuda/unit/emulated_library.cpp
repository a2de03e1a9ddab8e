#include "tests/cuda/emulator/cublaslt.hpp"
#include "tests/cuda/emulator/schedule.hpp"
#include "tests/cuda/emulator/streams.hpp"
#include "tests/cuda/unit/device_library.hpp"

namespace solard::cuda {

CublasLt device_library(const std::filesystem::path&) {
    return cuda_on_cpu::make_cublaslt();
}
bool device_is_emulated() {
    return true;
}
void propose_algorithms(int count) {
    cuda_on_cpu::set_proposals(count);
}
std::uint64_t products_computed() {
    std::uint64_t all = 0;
    for (int i = 0; i < num_algorithms; ++i) all += cuda_on_cpu::products_of(i);
    return all;
}
std::uint64_t products_computed_by(int algorithm) {
    return cuda_on_cpu::products_of(algorithm);
}

DeviceCounters device_counters() {
    const cuda_on_cpu::Counters& now = cuda_on_cpu::counters();
    return {.allocations = now.allocations,
            .pinned_bytes = now.pinned_bytes,
            .copies_to_device = now.copies_to_device,
            .copies_to_host = now.copies_to_host,
            .launches = now.launches,
            .kernels = now.kernels};
}
void set_device_memory(std::size_t bytes) {
    cuda_on_cpu::set_device_memory(bytes);
}
void unload_kernels() {
    cuda_on_cpu::unload_kernels();
}
void fail_launch(std::uint64_t count) {
    cuda_on_cpu::fail_launch(count);
}
void forget_failures() {
    cuda_on_cpu::reset_faults();
}

RandomSchedule::RandomSchedule(std::uint64_t seed) {
    cuda_on_cpu::set_schedule(
        {.order = cuda_on_cpu::Order::random, .copy_time = cuda_on_cpu::CopyTime::mixed, .seed = seed});
}
RandomSchedule::~RandomSchedule() {
    cuda_on_cpu::set_schedule({});
}

}  // namespace solard::cuda
