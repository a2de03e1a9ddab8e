// Makes the backend that runs the model. backends.cpp is the only file which knows the CPU and the CUDA
// backend.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "inference/backend.hpp"
#include "inference/model/checkpoint.hpp"
#include "server/config/app_config.hpp"
#include "server/devices.hpp"

namespace solard::server {

// Asks the CUDA runtime for its devices, if this build has the CUDA backend and the NVIDIA driver is loaded.
CudaSupport probe_cuda(NvidiaPresence nvidia);

// Loads the weights, tests the model with self_test() and returns a backend for `device`, "cpu" or "cuda", as
// choose_device() returned it. Must be called on the engine thread. `checkpoint` is not needed afterwards.
// Throws the exceptions of the backends' constructors and of self_test().
std::unique_ptr<Backend> make_backend(std::string_view device, const AppConfig& config,
                                      const Checkpoint& checkpoint, std::int32_t context_length,
                                      const OnLoadProgress& on_load_progress);

}  // namespace solard::server
