#include "tests/cuda/emulator/cublaslt.hpp"
#include "tests/cuda/emulator/schedule.hpp"
#include "tests/cuda/emulator/streams.hpp"
#include "tests/cuda/unit/device_library.hpp"

namespace solard::cuda {

CublasLt device_library(const std::filesystem::path&) {
    return cuda_emulator::make_cublaslt();
}
bool device_is_emulated() {
    return true;
}
void propose_algorithms(int count) {
    cuda_emulator::set_proposals(count);
}
std::uint64_t products_computed() {
    std::uint64_t all = 0;
    for (int i = 0; i < num_algorithms; ++i) all += cuda_emulator::products_of(i);
    return all;
}
std::uint64_t products_computed_by(int algorithm) {
    return cuda_emulator::products_of(algorithm);
}

DeviceCounters device_counters() {
    const cuda_emulator::Counters& now = cuda_emulator::counters();
    return {.allocations = now.allocations,
            .pinned_bytes = now.pinned_bytes,
            .copies_to_device = now.copies_to_device,
            .copies_to_host = now.copies_to_host,
            .launches = now.launches,
            .kernels = now.kernels};
}
void set_device_memory(std::size_t bytes) {
    cuda_emulator::set_device_memory(bytes);
}
void unload_kernels() {
    cuda_emulator::unload_kernels();
}
void fail_launch(std::uint64_t count) {
    cuda_emulator::fail_launch(count);
}
void forget_failures() {
    cuda_emulator::reset_faults();
}

RandomSchedule::RandomSchedule(std::uint64_t seed) {
    cuda_emulator::set_schedule(
        {.order = cuda_emulator::Order::random, .copy_time = cuda_emulator::CopyTime::mixed, .seed = seed});
}
RandomSchedule::~RandomSchedule() {
    cuda_emulator::set_schedule({});
}

}  // namespace solard::cuda
