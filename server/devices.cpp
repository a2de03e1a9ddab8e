#include "server/devices.hpp"

#include <tuple>

namespace solard::server {
namespace {

// The kernels are compiled for sm_89, and as PTX for later devices.
constexpr int min_major = 8;
constexpr int min_minor = 9;

std::string capability_of(const CudaDevice& device) {
    return std::to_string(device.compute_major) + "." + std::to_string(device.compute_minor);
}

// Returns why the kernels cannot run on the device; empty if they can.
std::string device_obstacle(const CudaDevice& device) {
    if (std::tuple(device.compute_major, device.compute_minor) >= std::tuple(min_major, min_minor)) return {};
    return device.name + " has compute capability " + capability_of(device) + ", but 8.9 or above is needed";
}

// Returns why no CUDA device can be used; empty if the first one can.
std::string cuda_obstacle(NvidiaPresence nvidia, const CudaSupport& cuda) {
    if (!nvidia.any()) return "no NVIDIA driver is loaded, and /dev has no NVIDIA device node";
    if (!nvidia.driver) return "a device node exists, but the NVIDIA driver is not loaded";
    if (!cuda.built)
        return "an NVIDIA driver is loaded, but this build has no CUDA backend (./run.sh installs the "
               "toolkit and builds it)";
    if (!cuda.error.empty()) return "the CUDA runtime reports: " + cuda.error;
    if (cuda.devices.empty()) return "the NVIDIA driver reports no device";
    return device_obstacle(cuda.devices.front());
}

}  // namespace

NvidiaPresence find_nvidia(const std::filesystem::path& root) {
    std::error_code ignored;
    return {.driver = std::filesystem::exists(root / "proc/driver/nvidia/version", ignored),
            .device_node = std::filesystem::exists(root / "dev/nvidiactl", ignored) ||
                           std::filesystem::exists(root / "dev/nvidia0", ignored)};
}

result<std::string_view> choose_device(std::string_view wanted, NvidiaPresence nvidia,
                                       const CudaSupport& cuda) {
    if (wanted == "cpu" || (wanted == "auto" && !nvidia.any())) return std::string_view("cpu");
    const std::string obstacle = cuda_obstacle(nvidia, cuda);
    if (obstacle.empty()) return std::string_view("cuda");
    return Error{errc::device_unavailable, "--device " + std::string(wanted) +
                                               ": no CUDA device can be used: " + obstacle +
                                               "; use --device cpu to run on the processor"};
}

std::string list_devices(NvidiaPresence nvidia, const CudaSupport& cuda, unsigned num_cores) {
    std::string text = "cpu   " + std::to_string(num_cores) + " cores\n";
    for (const CudaDevice& device : cuda.devices) {
        const std::string obstacle = device_obstacle(device);
        text += "cuda  " + device.name + ", compute capability " + capability_of(device) + ", " +
                std::to_string(device.memory_bytes >> 20) + " MiB" +
                (obstacle.empty() ? "" : ", not usable: " + obstacle) + "\n";
    }
    if (cuda.devices.empty()) text += "cuda  not usable: " + cuda_obstacle(nvidia, cuda) + "\n";
    return text;
}

}  // namespace solard::server
