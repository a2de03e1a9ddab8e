#include "server/devices.hpp"

namespace solard {
namespace {

// Why no CUDA device can be used; this build has no CUDA backend, so there always is a reason.
std::string cuda_obstacle(NvidiaPresence nvidia) {
    if (!nvidia.any()) return "no NVIDIA driver and no device node";
    if (!nvidia.driver) return "a device node exists, but the NVIDIA driver is not loaded";
    return "an NVIDIA driver is loaded, but this build has no CUDA backend";
}

}  // namespace

NvidiaPresence find_nvidia(const std::filesystem::path& root) {
    std::error_code ignored;
    return {.driver = std::filesystem::exists(root / "proc/driver/nvidia/version", ignored),
            .device_node = std::filesystem::exists(root / "dev/nvidiactl", ignored) ||
                           std::filesystem::exists(root / "dev/nvidia0", ignored)};
}

result<std::string_view> choose_device(std::string_view wanted, NvidiaPresence nvidia) {
    if (wanted == "cpu" || (wanted == "auto" && !nvidia.any())) return std::string_view("cpu");
    return Error{errc::device_unavailable, "--device " + std::string(wanted) +
                                               ": no usable CUDA device: " + cuda_obstacle(nvidia) +
                                               "; --device cpu runs on the processor"};
}

std::string list_devices(NvidiaPresence nvidia, unsigned num_cores) {
    return "cpu   " + std::to_string(num_cores) + " cores\n" + "cuda  not usable: " + cuda_obstacle(nvidia) +
           "\n";
}

}  // namespace solard
