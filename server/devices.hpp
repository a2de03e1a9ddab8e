// Which device a model runs on, decided before anything is loaded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "server/config/error.hpp"

namespace solard::server {

// What the machine shows of NVIDIA hardware, by its device nodes and its driver's proc entry under `root`.
struct NvidiaPresence {
    bool driver = false;
    bool device_node = false;
    bool any() const { return driver || device_node; }
};
NvidiaPresence find_nvidia(const std::filesystem::path& root = "/");

struct CudaDevice {
    std::string name;
    int compute_major = 0;
    int compute_minor = 0;
    std::uint64_t memory_bytes = 0;
};

// What the CUDA runtime says, where this build has it and the machine shows hardware.
struct CudaSupport {
    bool built = false;
    std::vector<CudaDevice> devices = {};
    std::string error = {};  // of the runtime; empty where it listed the devices
};

// "cpu" or "cuda" for --device `wanted` (auto, cpu, cuda). There is no silent fallback: auto means the CPU
// only where neither driver nor device node exists. cuda is the first device. Errors: device_unavailable, one
// line that says what to do.
result<std::string_view> choose_device(std::string_view wanted, NvidiaPresence nvidia,
                                       const CudaSupport& cuda = {});

// The text of --list-devices: a line a device, with the reason where one cannot be used.
std::string list_devices(NvidiaPresence nvidia, const CudaSupport& cuda, unsigned num_cores);

}  // namespace solard::server
