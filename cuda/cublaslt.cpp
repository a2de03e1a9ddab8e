#include "cuda/cublaslt.hpp"

#include <dlfcn.h>

#include "cuda/device.hpp"

namespace solard::cuda {
namespace {

constexpr const char* library_name = "libcublasLt.so.13";

std::vector<std::string> places(const std::filesystem::path& wanted) {
    std::error_code ignored;
    if (!wanted.empty()) {
        const bool folder = std::filesystem::is_directory(wanted, ignored);
        return {(folder ? wanted / library_name : wanted).string()};
    }
    std::vector<std::string> all;
    const auto executable = std::filesystem::read_symlink("/proc/self/exe", ignored);
    // The server is in build/release; the test programs are one folder deeper.
    for (const char* const above : {"..", "../.."}) {
        const auto installed = executable.parent_path() / above / "cuda/nvidia/cu13/lib" / library_name;
        if (!executable.empty()) all.push_back(installed.lexically_normal().string());
    }
    all.emplace_back(library_name);
    return all;
}

// Looks functions up by name and remembers the name of the first missing function.
class Symbols {
  public:
    explicit Symbols(void* library) : library_(library) {}
    template <class Function>
    void take(Function*& function, const char* name) {
        function = reinterpret_cast<Function*>(dlsym(library_, name));
        if (function == nullptr && missing_.empty()) missing_ = name;
    }
    const std::string& missing() const { return missing_; }

  private:
    void* library_;
    std::string missing_;
};

std::string real_path(void* symbol, const std::string& opened) {
    Dl_info info{};
    std::error_code ignored;
    if (dladdr(symbol, &info) == 0 || info.dli_fname == nullptr) return opened;
    const auto path = std::filesystem::canonical(info.dli_fname, ignored);
    return ignored ? opened : path.string();
}

}  // namespace

result<CublasLt> CublasLt::open(const std::filesystem::path& wanted) {
    std::string tried;
    void* library = nullptr;
    std::string opened;
    for (const std::string& place : places(wanted)) {
        library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
        opened = place;
        if (library != nullptr) break;
        const char* const reason = dlerror();
        tried += (tried.empty() ? "" : "; ") + std::string(reason == nullptr ? place : reason);
    }
    if (library == nullptr) {
        return Error{errc::device_unavailable,
                     "cuBLASLt cannot be opened: " + tried + "; name its file or folder with --cublaslt"};
    }
    CublasLt table;
    Symbols symbols(library);
    symbols.take(table.get_version, "cublasLtGetVersion");
    symbols.take(table.create, "cublasLtCreate");
    symbols.take(table.destroy, "cublasLtDestroy");
    symbols.take(table.matmul, "cublasLtMatmul");
    symbols.take(table.get_heuristic, "cublasLtMatmulAlgoGetHeuristic");
    symbols.take(table.check_algo, "cublasLtMatmulAlgoCheck");
    symbols.take(table.get_config, "cublasLtMatmulAlgoConfigGetAttribute");
    symbols.take(table.create_desc, "cublasLtMatmulDescCreate");
    symbols.take(table.destroy_desc, "cublasLtMatmulDescDestroy");
    symbols.take(table.set_desc, "cublasLtMatmulDescSetAttribute");
    symbols.take(table.create_layout, "cublasLtMatrixLayoutCreate");
    symbols.take(table.destroy_layout, "cublasLtMatrixLayoutDestroy");
    symbols.take(table.set_layout, "cublasLtMatrixLayoutSetAttribute");
    symbols.take(table.create_preference, "cublasLtMatmulPreferenceCreate");
    symbols.take(table.destroy_preference, "cublasLtMatmulPreferenceDestroy");
    symbols.take(table.set_preference, "cublasLtMatmulPreferenceSetAttribute");
    if (!symbols.missing().empty())
        return Error{errc::device_unavailable,
                     opened + " has no function " + symbols.missing() + ", so it is not cuBLASLt 13"};
    if (const std::size_t major = table.get_version() / 10000; major != CUBLAS_VER_MAJOR)
        return Error{errc::device_unavailable, opened + " is cuBLASLt " + std::to_string(major) + ", but " +
                                                   std::to_string(CUBLAS_VER_MAJOR) + " is needed"};
    table.file = real_path(reinterpret_cast<void*>(table.matmul), opened);
    return table;
}

std::string CublasLt::description() const {
    const std::size_t version = get_version();  // major * 10000 + minor * 100 + patch
    return "cuBLASLt " + std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
           std::to_string(version % 100) + ", " + file;
}

void check(cublasStatus_t status, const std::source_location& where) {
    if (status == CUBLAS_STATUS_SUCCESS) return;
    throw DeviceError("cuBLASLt status " + std::to_string(static_cast<int>(status)) + " (" +
                      where.file_name() + ":" + std::to_string(where.line()) + ")");
}

}  // namespace solard::cuda
