// cuBLASLt as a table of functions. The library is opened only when a device is used. If the program were
// linked to it, every start would take 213 MB of memory and a tenth of a second, and the program would not
// start on a machine without the library.
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

    std::string file;  // the path of the opened library

    // Opens the library, which stays open until the process ends. If `wanted` is not empty, it is the path of
    // the library or of its folder, and nothing else is tried. If it is empty, the first places to be tried
    // are ../cuda/nvidia/cu13/lib and ../../cuda/nvidia/cu13/lib, seen from the executable's folder. One of
    // them is in build/cuda, where the scripts install the library. After them, the loader's search path is
    // tried. Errors: device_unavailable. The message names every place that was tried. If a file was opened
    // but is not cuBLASLt of the major version that this program was compiled for, the message names that
    // file.
    static result<CublasLt> open(const std::filesystem::path& wanted);

    // Returns the version and the file, for example "cuBLASLt 13.1.0, /path/of/libcublasLt.so.13".
    std::string description() const;

    // Returns one setting of an algorithm, or nothing if the library does not report it.
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

// Throws a DeviceError that names the calling line if `status` is not success.
void check(cublasStatus_t status, const std::source_location& where = std::source_location::current());

}  // namespace solard::cuda
