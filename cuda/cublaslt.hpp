// cuBLASLt as a table of functions. The library is opened when a device is used: linking it would cost every
// start 213 MB and a tenth of a second, and the program would not start where it is missing.
#pragma once

#include <cublasLt.h>

#include <filesystem>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include "inference/error.hpp"

namespace solard::cuda {

struct CublasLt {
    decltype(&cublasLtGetVersion) get_version = nullptr;
    decltype(&cublasLtCreate) create = nullptr;
    decltype(&cublasLtDestroy) destroy = nullptr;
    decltype(&cublasLtMatmul) matmul = nullptr;
    decltype(&cublasLtMatmulAlgoGetHeuristic) get_heuristic = nullptr;
    decltype(&cublasLtMatmulAlgoCheck) check_algo = nullptr;
    decltype(&cublasLtMatmulAlgoConfigGetAttribute) get_config = nullptr;
    decltype(&cublasLtMatmulDescCreate) create_desc = nullptr;
    decltype(&cublasLtMatmulDescDestroy) destroy_desc = nullptr;
    decltype(&cublasLtMatmulDescSetAttribute) set_desc = nullptr;
    decltype(&cublasLtMatrixLayoutCreate) create_layout = nullptr;
    decltype(&cublasLtMatrixLayoutDestroy) destroy_layout = nullptr;
    decltype(&cublasLtMatrixLayoutSetAttribute) set_layout = nullptr;
    decltype(&cublasLtMatmulPreferenceCreate) create_preference = nullptr;
    decltype(&cublasLtMatmulPreferenceDestroy) destroy_preference = nullptr;
    decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;

    std::string file;  // what was opened

    // Searched in this order: `wanted` alone where it is not empty (a file, or a folder that holds it);
    // cuda/nvidia/cu13/lib one and two folders above that of the executable, which is build/cuda, where the
    // scripts install it; the loader's path.
    // Stays open until the process ends. Errors: device_unavailable, naming every place tried, or what was
    // opened and is no cuBLASLt of the major version that this was compiled for.
    static result<CublasLt> open(const std::filesystem::path& wanted);

    // "cuBLASLt 13.1.0, /path/of/libcublasLt.so.13"
    std::string description() const;

    // One setting of an algorithm; nothing where the library cannot tell it.
    template <class T>
    std::optional<T> config_of(const cublasLtMatmulAlgo_t& algo,
                               cublasLtMatmulAlgoConfigAttributes_t attribute) const {
        T value{};
        std::size_t written = 0;
        const bool told =
            get_config(&algo, attribute, &value, sizeof(value), &written) == CUBLAS_STATUS_SUCCESS &&
            written == sizeof(value);
        return told ? std::optional<T>(value) : std::nullopt;
    }
};

// Throws DeviceError with the call's place where `status` is not success.
void check(cublasStatus_t status, const std::source_location& where = std::source_location::current());

}  // namespace solard::cuda
