// Decides which device the model runs on, before anything is loaded.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "server/config/error.hpp"

namespace solard::server {

// The signs of NVIDIA hardware on this machine.
struct NvidiaPresence {
    bool driver = false;       // true: /proc shows that the driver is loaded
    bool device_node = false;  // true: a device node exists in /dev
    bool any() const { return driver || device_node; }
};
// Looks in the file system below `root` for a loaded NVIDIA driver and for an NVIDIA device node. Only tests
// set another `root` than "/".
NvidiaPresence find_nvidia(const std::filesystem::path& root = "/");

struct CudaDevice {
    std::string name;
    int compute_major = 0;
    int compute_minor = 0;
    std::uint64_t memory_bytes = 0;
};

// The answer of the CUDA runtime, which is asked only if this build has the CUDA backend and the NVIDIA
// driver is loaded.
struct CudaSupport {
    bool built = false;  // true: this build has the CUDA backend
    std::vector<CudaDevice> devices = {};
    std::string error = {};  // the runtime's error; empty if the runtime listed the devices
};

// Returns "cpu" or "cuda" for the value of --device (auto, cpu or cuda). There is no silent fallback: auto
// means the CPU only if neither a driver nor a device node exists. "cuda" means the first device. Errors:
// device_unavailable, with a message of one line that says what to do.
result<std::string_view> choose_device(std::string_view wanted, NvidiaPresence nvidia,
                                       const CudaSupport& cuda = {});

// Returns the text of --list-devices: one line for each device. If the device cannot be used, its line says
// why.
std::string list_devices(NvidiaPresence nvidia, const CudaSupport& cuda, unsigned num_cores);

}  // namespace solard::server
