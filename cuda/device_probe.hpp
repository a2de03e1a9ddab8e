// Describes the machine's GPUs without creating a context on any of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace solard::cuda {

struct DeviceFacts {
    std::string name;
    int compute_major = 0;
    int compute_minor = 0;
    std::uint64_t memory_bytes = 0;
};

struct DeviceProbe {
    std::vector<DeviceFacts> devices;
    std::string error;  // why no GPU can be used, for example an old driver; empty if a GPU can be used
};

// Never throws.
DeviceProbe probe_devices();

}  // namespace solard::cuda
