#include "cuda/gemm.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

namespace solard::cuda {
namespace {

constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  // what cuBLAS itself takes on sm_90
constexpr int max_proposals = 16;
constexpr int runs_measured = 10;

cudaDataType_t data_type(DType type) {
    switch (type) {
        case DType::bf16:
            return CUDA_R_16BF;
        case DType::fp16:
            return CUDA_R_16F;
        case DType::fp32:
            break;
    }
    return CUDA_R_32F;
}

// Numbers of rows that get an algorithm of their own; others take the next larger one's.
std::vector<std::int32_t> make_buckets(std::int32_t max_rows) {
    std::vector<std::int32_t> buckets;
    for (std::int32_t rows = 1; rows < max_rows; rows *= 2) {
        buckets.push_back(rows);
        // Between the powers of two, where a wave more or less of tiles shows.
        if (rows >= 64 && rows + rows / 2 < max_rows) buckets.push_back(rows + rows / 2);
    }
    buckets.push_back(max_rows);
    return buckets;
}

std::string name_of_card(const CublasLt& library) {
    cudaDeviceProp device{};
    check(cudaGetDeviceProperties(&device, 0));
    std::string name = device.name;
    std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '-');
    return name + "-" + std::to_string(device.multiProcessorCount) + "-" +
           std::to_string(library.get_version());
}

std::string hex_of(const cublasLtMatmulAlgo_t& algo) {
    std::ostringstream text;
    text << std::hex;
    for (const std::uint64_t word : algo.data) text << ' ' << word;
    return text.str();
}

std::optional<std::string> environment(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr || *value == '\0' ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace

std::filesystem::path default_cache_folder() {
    if (const auto folder = environment("CACHE_DIRECTORY")) return folder->substr(0, folder->find(':'));
    if (const auto folder = environment("XDG_CACHE_HOME")) return std::filesystem::path(*folder) / "solard";
    if (const auto home = environment("HOME")) return std::filesystem::path(*home) / ".cache/solard";
    return {};
}

// What cuBLASLt is told of one shape. In its column-major words: d^T[n, m] = op(w)[n, k] x^T[k, m], where w
// lies as a k x n matrix and is transposed: the form that has a kernel for every type.
struct Gemm::Plan {
    Plan(const CublasLt& table, DType type, const GemmShape& made_for, std::vector<const void*> matrices)
        : library(table), shape(made_for), weights(std::move(matrices)) {
        const auto n = static_cast<std::uint64_t>(shape.n);
        const auto k = static_cast<std::uint64_t>(shape.k);
        check(library.create_desc(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F));
        const cublasOperation_t transposed = CUBLAS_OP_T;
        check(library.set_desc(desc, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof(transposed)));
        check(library.create_layout(&w, data_type(type), k, n, shape.k));
        check(library.create_layout(&x, data_type(type), k, 1, shape.k));
        check(library.create_layout(&d, data_type(shape.out), n, 1, shape.out_stride));
    }
    Plan(const Plan&) = delete;
    Plan& operator=(const Plan&) = delete;
    ~Plan() {
        library.destroy_layout(d);
        library.destroy_layout(x);
        library.destroy_layout(w);
        library.destroy_desc(desc);
    }

    void set_rows(std::int32_t m) {
        if (m == rows) return;
        const auto columns = static_cast<std::uint64_t>(m);
        check(library.set_layout(x, CUBLASLT_MATRIX_LAYOUT_COLS, &columns, sizeof(columns)));
        check(library.set_layout(d, CUBLASLT_MATRIX_LAYOUT_COLS, &columns, sizeof(columns)));
        rows = m;
    }

    const CublasLt& library;
    GemmShape shape;
    std::vector<const void*> weights;
    cublasLtMatmulDesc_t desc = nullptr;
    cublasLtMatrixLayout_t w = nullptr;
    cublasLtMatrixLayout_t x = nullptr;
    cublasLtMatrixLayout_t d = nullptr;
    std::int32_t rows = 1;    // that the layouts say now
    std::vector<Algo> algos;  // [buckets]
};

Gemm::Gemm(const CublasLt& library, DType type, std::int32_t max_rows, bool deterministic,
           std::filesystem::path cache_folder)
    : library_(library),
      type_(type),
      max_rows_(max_rows),
      deterministic_(deterministic),
      cache_folder_(std::move(cache_folder)),
      card_(name_of_card(library)),
      buckets_(make_buckets(max_rows)),
      workspace_(workspace_bytes) {
    check(library_.create(&handle_));
    std::uint8_t bucket = 0;
    for (std::int32_t m = 0; m <= max_rows; ++m) {
        if (m > buckets_[bucket]) ++bucket;
        bucket_of_.push_back(bucket);
    }
}

Gemm::~Gemm() {
    plans_.clear();
    library_.destroy(handle_);
}

Gemm::Id Gemm::add(const GemmShape& shape, std::vector<const void*> weights) {
    plans_.push_back(std::make_unique<Plan>(library_, type_, shape, std::move(weights)));
    return plans_.size() - 1;
}

void Gemm::run(Id id, const void* x, const void* w, void* d, std::int32_t m, const Stream& stream) {
    Plan& plan = *plans_[id];
    const Algo& choice = plan.algos[bucket_of_[static_cast<std::size_t>(m)]];
    check(multiply(plan, choice.algo, x, w, d, m, stream));
}

cublasStatus_t Gemm::multiply(Plan& plan, const cublasLtMatmulAlgo_t& algo, const void* x, const void* w,
                              void* d, std::int32_t m, const Stream& stream) {
    constexpr float one = 1;
    constexpr float zero = 0;
    plan.set_rows(m);
    return library_.matmul(handle_, plan.desc, &one, w, plan.w, x, plan.x, &zero, d, plan.d, d, plan.d, &algo,
                           workspace_.data(), workspace_.size(), stream.get());
}

void Gemm::tune(const Stream& stream) {
    std::size_t x_elements = 0;
    std::size_t d_bytes = 0;
    for (const auto& plan : plans_) {
        const GemmShape& shape = plan->shape;
        x_elements =
            std::max(x_elements, static_cast<std::size_t>(max_rows_) * static_cast<std::size_t>(shape.k));
        d_bytes = std::max(d_bytes, static_cast<std::size_t>(max_rows_) *
                                        static_cast<std::size_t>(shape.out_stride) * size_of(shape.out));
    }
    tuning_x_ = DeviceBuffer<std::byte>(x_elements * size_of(type_));
    tuning_d_ = DeviceBuffer<std::byte>(d_bytes);
    // Small numbers in either type; zeros would draw less power than any real step.
    check(cudaMemsetAsync(tuning_x_.data(), 0x3c, tuning_x_.size(), stream.get()));
    read_cache();
    for (const auto& plan : plans_) tune_plan(*plan, stream);
    stream.synchronize();
    write_cache();
    tuning_x_ = {};
    tuning_d_ = {};
}

void Gemm::tune_plan(Plan& plan, const Stream& stream) {
    // `rows`: every m that the choice must be able to do.
    const auto choose = [&](std::int32_t m, const std::vector<std::int32_t>& rows,
                            const std::vector<cublasLtMatmulAlgo_t>& candidates) {
        const std::string key = cache_key(plan, m);
        const auto known = std::ranges::find(
            remembered_, key, [](const auto& entry) -> const std::string& { return entry.first; });
        // Checked again: the file may be anybody's.
        if (known != remembered_.end() && is_valid(plan, known->second.algo, rows)) return known->second;
        if (candidates.empty())
            throw DeviceError("cuBLASLt has no algorithm for " + std::to_string(m) + " x " +
                              std::to_string(plan.shape.n) + " x " + std::to_string(plan.shape.k));
        const Algo choice = fastest(plan, candidates, m, stream);
        if (known == remembered_.end()) {
            remembered_.emplace_back(key, choice);
        } else {
            known->second = choice;
        }
        return choice;
    };
    if (!deterministic_) {
        for (const std::int32_t m : buckets_) plan.algos.push_back(choose(m, {m}, proposals(plan, m)));
        return;
    }
    auto candidates = proposals(plan, max_rows_);
    std::erase_if(candidates,
                  [&](const cublasLtMatmulAlgo_t& algo) { return !is_valid(plan, algo, buckets_); });
    plan.algos.assign(buckets_.size(), choose(max_rows_, buckets_, candidates));
}

std::vector<cublasLtMatmulAlgo_t> Gemm::proposals(Plan& plan, std::int32_t m) const {
    plan.set_rows(m);
    cublasLtMatmulPreference_t preference = nullptr;
    check(library_.create_preference(&preference));
    check(library_.set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes,
                                  sizeof(workspace_bytes)));
    const std::uint32_t reductions =
        deterministic_ ? CUBLASLT_REDUCTION_SCHEME_NONE : CUBLASLT_REDUCTION_SCHEME_MASK;
    check(library_.set_preference(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions,
                                  sizeof(reductions)));
    std::array<cublasLtMatmulHeuristicResult_t, max_proposals> results{};
    int count = 0;
    const cublasStatus_t status = library_.get_heuristic(handle_, plan.desc, plan.w, plan.x, plan.d, plan.d,
                                                         preference, max_proposals, results.data(), &count);
    library_.destroy_preference(preference);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED) check(status);
    std::vector<cublasLtMatmulAlgo_t> algos;
    for (int i = 0; i < count; ++i) {
        const auto& result = results[static_cast<std::size_t>(i)];
        if (result.state == CUBLAS_STATUS_SUCCESS) algos.push_back(result.algo);
    }
    return algos;
}

bool Gemm::splits_k(const cublasLtMatmulAlgo_t& algo) const {
    std::int32_t parts = 1;
    std::uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_NONE;
    std::size_t written = 0;
    check(library_.get_config(&algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof(parts), &written));
    check(library_.get_config(&algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME, &reduction, sizeof(reduction),
                              &written));
    return parts > 1 || reduction != CUBLASLT_REDUCTION_SCHEME_NONE;
}

bool Gemm::is_valid(Plan& plan, const cublasLtMatmulAlgo_t& algo,
                    const std::vector<std::int32_t>& rows) const {
    return std::ranges::all_of(rows, [&](std::int32_t m) {
        plan.set_rows(m);
        cublasLtMatmulHeuristicResult_t result{};
        const cublasStatus_t status =
            library_.check_algo(handle_, plan.desc, plan.w, plan.x, plan.d, plan.d, &algo, &result);
        return status == CUBLAS_STATUS_SUCCESS && result.workspaceSize <= workspace_bytes &&
               !(deterministic_ && splits_k(algo));
    });
}

Gemm::Algo Gemm::fastest(Plan& plan, const std::vector<cublasLtMatmulAlgo_t>& candidates, std::int32_t m,
                         const Stream& stream) {
    Algo best{.algo = candidates.front()};
    if (candidates.size() == 1) return best;
    best.microseconds = -1;
    for (const cublasLtMatmulAlgo_t& algo : candidates) {
        const float time = measure(plan, algo, m, stream);
        if (time >= 0 && (best.microseconds < 0 || time < best.microseconds)) best = {algo, time};
    }
    return best;
}

// Microseconds of one run; negative where the algorithm is refused after all.
float Gemm::measure(Plan& plan, const cublasLtMatmulAlgo_t& algo, std::int32_t m, const Stream& stream) {
    Event begin(Event::Timing::on);
    Event end(Event::Timing::on);
    std::size_t turn = 0;
    const auto multiply_next = [&] {
        const void* const w = plan.weights[turn++ % plan.weights.size()];
        return multiply(plan, algo, tuning_x_.data(), w, tuning_d_.data(), m, stream);
    };
    if (multiply_next() != CUBLAS_STATUS_SUCCESS) return -1;
    begin.record(stream);
    for (int i = 0; i < runs_measured; ++i) check(multiply_next());
    end.record(stream);
    end.synchronize();
    return end.milliseconds_since(begin) * 1000 / runs_measured;
}

std::vector<GemmChoice> Gemm::choices() const {
    std::vector<GemmChoice> all;
    for (const auto& plan : plans_) {
        for (std::size_t i = 0; i < plan->algos.size(); ++i) {
            std::int32_t parts = 1;
            std::size_t written = 0;
            check(library_.get_config(&plan->algos[i].algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts,
                                      sizeof(parts), &written));
            all.push_back({plan->shape, buckets_[i], parts, plan->algos[i].microseconds});
        }
    }
    return all;
}

// ---- The cache: a line a choice, "<key> : <microseconds> <the algorithm's eight words>". cublasLt.h allows
// the algorithm to be kept for the same version of the library, which is part of the file's name.

std::filesystem::path Gemm::cache_file() const {
    return cache_folder_.empty() ? cache_folder_ : cache_folder_ / ("gemm-" + card_ + ".txt");
}

std::string Gemm::cache_key(const Plan& plan, std::int32_t m) const {
    return std::to_string(m) + "x" + std::to_string(plan.shape.n) + "x" + std::to_string(plan.shape.k) + "/" +
           std::to_string(plan.shape.out_stride) + " " + std::string(name_of(type_)) + " " +
           std::string(name_of(plan.shape.out)) + (deterministic_ ? " deterministic" : "");
}

void Gemm::read_cache() {
    std::ifstream file(cache_file());
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(" : ");
        if (colon == std::string::npos) continue;
        std::istringstream rest(line.substr(colon + 3));
        Algo algo;
        rest >> algo.microseconds >> std::hex;
        for (std::uint64_t& word : algo.algo.data) rest >> word;
        if (rest) remembered_.emplace_back(line.substr(0, colon), algo);
    }
}

// Whoever starts next measures again where this fails: nothing is lost but seconds.
void Gemm::write_cache() const {
    if (cache_folder_.empty()) return;
    std::error_code ignored;
    std::filesystem::create_directories(cache_folder_, ignored);
    const std::filesystem::path temporary = cache_file().string() + ".new";
    {
        std::ofstream file(temporary, std::ios::trunc);
        for (const auto& [key, algo] : remembered_) {
            file << key << " : " << algo.microseconds << hex_of(algo.algo) << '\n';
        }
        if (!file.flush()) return;
    }
    std::filesystem::rename(temporary, cache_file(), ignored);
}

}  // namespace solard::cuda
