#include "cuda/gemm.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

namespace solard::cuda {
namespace {

constexpr std::size_t workspace_bytes = std::size_t{32} << 20;  // cuBLAS's own default on sm_90
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

// Returns the row counts for which an algorithm is chosen. Every other row count uses the algorithm of the
// next larger count in this list.
std::vector<std::int32_t> make_buckets(std::int32_t max_rows) {
    std::vector<std::int32_t> buckets;
    for (std::int32_t rows = 1; rows < max_rows; rows *= 2) {
        buckets.push_back(rows);
        // From 64 rows on, the number of waves of tiles may change between two powers of two. So the row
        // count halfway between them is added.
        if (rows >= 64 && rows + rows / 2 < max_rows) buckets.push_back(rows + rows / 2);
    }
    buckets.push_back(max_rows);
    return buckets;
}

// Returns the path of the cache file, or an empty path if `folder` is empty. The file's name contains the
// card's name and the library's version, because a choice depends on both.
std::filesystem::path cache_file(const std::filesystem::path& folder, const CublasLt& library) {
    if (folder.empty()) return {};
    cudaDeviceProp device{};
    check(cudaGetDeviceProperties(&device, 0));
    std::string card = device.name;
    std::ranges::replace_if(card, [](unsigned char c) { return std::isalnum(c) == 0; }, '-');
    return folder / ("gemm-" + card + "-" + std::to_string(device.multiProcessorCount) + "-" +
                     std::to_string(library.get_version()) + ".txt");
}

std::string cache_key(const GemmShape& shape, DType type, std::int32_t m) {
    return std::to_string(m) + "x" + std::to_string(shape.n) + "x" + std::to_string(shape.k) + "/" +
           std::to_string(shape.out_stride) + " " + std::string(name_of(type)) + " " +
           std::string(name_of(shape.out));
}

}  // namespace

// Describes one shape to cuBLASLt, which takes every matrix as column-major. It therefore sees the row-major
// w[n, k] as a k x n matrix, and is told to transpose this matrix. The product is then d^T[n, m] = w[n, k]
// x^T[k, m]. cuBLASLt has a kernel of this form for every type.
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
    std::int32_t rows = 1;    // the m that is set in the layouts
    std::vector<Algo> algos;  // [buckets]
};

Gemm::Gemm(const CublasLt& library, DType type, std::int32_t max_rows, bool deterministic,
           const std::filesystem::path& cache_folder)
    : library_(library),
      type_(type),
      max_rows_(max_rows),
      deterministic_(deterministic),
      cache_(cache_file(cache_folder, library)),
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
    // 0x3c3c is a small number in both types. Zeros would draw less power than real data, and the card could
    // then run at a higher clock.
    check(cudaMemsetAsync(tuning_x_.data(), 0x3c, tuning_x_.size(), stream.get()));
    for (const auto& plan : plans_) choose(*plan, stream);
    stream.synchronize();
    cache_.save();
    tuning_x_ = {};
    tuning_d_ = {};
}

void Gemm::choose(Plan& plan, const Stream& stream) {
    if (deterministic_) {
        plan.algos.assign(buckets_.size(), choose_one(plan, buckets_, stream));
        return;
    }
    std::int32_t least = 1;
    for (const std::int32_t most : buckets_) {
        plan.algos.push_back(choose_one(plan, std::array{least, most}, stream));
        least = most + 1;
    }
}

// Chooses an algorithm for rows.back(), the largest number in `rows`. The algorithm must be valid for every
// number in `rows`.
Gemm::Algo Gemm::choose_one(Plan& plan, std::span<const std::int32_t> rows, const Stream& stream) {
    const std::int32_t m = rows.back();
    const std::string key = cache_key(plan.shape, type_, m);
    const Algo* const known = deterministic_ ? nullptr : cache_.find(key);
    // An algorithm from the cache file is run once here. The driver loads a kernel when the kernel is first
    // launched, and no step should have to wait for this loading.
    if (known != nullptr && is_valid(plan, known->algo, rows) &&
        multiply(plan, known->algo, tuning_x_.data(), plan.weights.front(), tuning_d_.data(), m, stream) ==
            CUBLAS_STATUS_SUCCESS)
        return *known;
    const Algo choice = pick(plan, candidates(plan, rows), m, stream);
    if (!deterministic_) cache_.remember(key, choice);
    return choice;
}

// Returns the valid proposals of cuBLASLt in cuBLASLt's order, in which the proposal with the best estimate
// comes first.
std::vector<cublasLtMatmulAlgo_t> Gemm::candidates(Plan& plan, std::span<const std::int32_t> rows) const {
    plan.set_rows(rows.back());
    cublasLtMatmulPreference_t preference = nullptr;
    check(library_.create_preference(&preference));
    check(library_.set_preference(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace_bytes,
                                  sizeof(workspace_bytes)));
    const std::uint32_t reductions = allowed_reductions(plan);
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
        if (result.state == CUBLAS_STATUS_SUCCESS && is_valid(plan, result.algo, rows))
            algos.push_back(result.algo);
    }
    return algos;
}

// Returns the reduction schemes that are allowed. Deterministic mode never splits K, so it allows none. If
// the result has 16 bits, only the scheme that does not round partial sums to 16 bits is allowed.
std::uint32_t Gemm::allowed_reductions(const Plan& plan) const {
    if (deterministic_) return CUBLASLT_REDUCTION_SCHEME_NONE;
    if (plan.shape.out == DType::fp32) return CUBLASLT_REDUCTION_SCHEME_MASK;
    return CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
}

bool Gemm::is_valid(Plan& plan, const cublasLtMatmulAlgo_t& algo, std::span<const std::int32_t> rows) const {
    const auto parts = library_.config_of<std::int32_t>(algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM);
    const auto reduction = library_.config_of<std::uint32_t>(algo, CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME);
    if (deterministic_ && parts != 1) return false;
    const std::uint32_t added_up = parts == 1 ? 0U : reduction.value_or(0);
    if ((added_up & ~allowed_reductions(plan)) != 0) return false;
    return std::ranges::all_of(rows, [&](std::int32_t m) {
        plan.set_rows(m);
        cublasLtMatmulHeuristicResult_t result{};
        const cublasStatus_t status =
            library_.check_algo(handle_, plan.desc, plan.w, plan.x, plan.d, plan.d, &algo, &result);
        return status == CUBLAS_STATUS_SUCCESS && result.workspaceSize <= workspace_bytes;
    });
}

// Returns the fastest algorithm. In deterministic mode, returns the first algorithm that runs, because the
// choice must not depend on measured times.
Gemm::Algo Gemm::pick(Plan& plan, const std::vector<cublasLtMatmulAlgo_t>& algos, std::int32_t m,
                      const Stream& stream) {
    Algo best{.microseconds = -1};
    for (const cublasLtMatmulAlgo_t& algo : algos) {
        const float time = measure(plan, algo, m, stream);
        if (time >= 0 && (best.microseconds < 0 || time < best.microseconds)) best = {algo, time};
        if (deterministic_ && best.microseconds >= 0) break;
    }
    if (best.microseconds < 0)
        throw DeviceError("cuBLASLt has no algorithm for a matrix product of size " + std::to_string(m) +
                          " x " + std::to_string(plan.shape.n) + " x " + std::to_string(plan.shape.k));
    return best;
}

// Returns the mean time of a run in microseconds, or a negative number if cuBLASLt refuses the algorithm.
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
            const Algo& choice = plan->algos[i];
            const auto parts = library_.config_of<std::int32_t>(choice.algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM);
            all.push_back({plan->shape, buckets_[i], parts.value_or(1), choice.microseconds});
        }
    }
    return all;
}

}  // namespace solard::cuda
