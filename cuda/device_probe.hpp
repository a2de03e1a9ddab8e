// Describes the machine's GPUs without creating a context on any.
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
    std::string error;  // why no GPU can be used, such as a driver that is too old; else empty
};

// Never throws.
DeviceProbe probe_devices();

}  // namespace solard::cuda
