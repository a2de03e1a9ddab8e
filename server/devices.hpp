// Which device a model runs on, decided before anything is loaded.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "inference/error.hpp"

namespace solard {

// What the machine shows of NVIDIA hardware, by its device nodes and its driver's proc entry under `root`.
struct NvidiaPresence {
    bool driver = false;
    bool device_node = false;
    bool any() const { return driver || device_node; }
};
NvidiaPresence find_nvidia(const std::filesystem::path& root = "/");

// "cpu" or "cuda" for --device `wanted` (auto, cpu, cuda). There is no silent fallback: auto means the CPU
// only where neither driver nor device node exists. Errors: device_unavailable, one line that says what to
// do.
result<std::string_view> choose_device(std::string_view wanted, NvidiaPresence nvidia);

// The text of --list-devices: a line a device, with the reason where one cannot be used.
std::string list_devices(NvidiaPresence nvidia, unsigned num_cores);

}  // namespace solard
