// The large matrix products: cuBLASLt plans, chosen by measuring and remembered on disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cuda/cublaslt.hpp"
#include "cuda/device.hpp"
#include "cuda/gemm_cache.hpp"
#include "inference/model/config.hpp"

namespace solard::cuda {

// d[m, n] = x[m, k] w[n, k]^T, all row-major; x and w have the compute type, sums are fp32.
struct GemmShape {
    std::int32_t n = 0;
    std::int32_t k = 0;
    DType out = DType::bf16;      // of d: the compute type or fp32
    std::int32_t out_stride = 0;  // elements from row to row of d
};

// Which algorithm a plan took for up to `rows` rows, for the bench.
struct GemmChoice {
    GemmShape shape;
    std::int32_t rows = 0;
    std::int32_t split_k = 0;
    float microseconds = 0;  // measured with cold weights
};

// One thread. run() allocates nothing.
class Gemm {
  public:
    using Id = std::size_t;

    // max_rows: the largest m. deterministic: one algorithm for every m, without split K, so that a row's
    // bits do not depend on m; it is cuBLASLt's own first choice for max_rows, the same at every start on the
    // same card. `cache_folder` keeps what was measured from one start to the next; empty: nothing is kept.
    Gemm(const CublasLt& library, DType type, std::int32_t max_rows, bool deterministic,
         const std::filesystem::path& cache_folder = default_cache_folder());
    Gemm(const Gemm&) = delete;
    Gemm& operator=(const Gemm&) = delete;
    ~Gemm();

    // `weights`: device memory of all matrices of this shape, for measuring.
    Id add(const GemmShape& shape, std::vector<const void*> weights);
    // Chooses an algorithm for every shape and number of rows, among those that sum in fp32 to the end: from
    // the cache, else by measuring what cuBLASLt proposes, each run with weights that are not in the L2
    // cache, as far as there are enough of them. Once, after the last add(). Throws DeviceError where
    // cuBLASLt has no algorithm.
    void tune(const Stream& stream);

    // Enqueues the product, 1 <= m <= max_rows.
    void run(Id id, const void* x, const void* w, void* d, std::int32_t m, const Stream& stream);

    std::string library_name() const { return library_.description(); }
    std::vector<GemmChoice> choices() const;

  private:
    using Algo = GemmCache::Entry;
    struct Plan;

    void choose(Plan& plan, const Stream& stream);
    Algo choose_one(Plan& plan, std::span<const std::int32_t> rows, const Stream& stream);
    std::vector<cublasLtMatmulAlgo_t> candidates(Plan& plan, std::span<const std::int32_t> rows) const;
    std::uint32_t allowed_reductions(const Plan& plan) const;
    bool is_valid(Plan& plan, const cublasLtMatmulAlgo_t& algo, std::span<const std::int32_t> rows) const;
    Algo pick(Plan& plan, const std::vector<cublasLtMatmulAlgo_t>& algos, std::int32_t m,
              const Stream& stream);
    float measure(Plan& plan, const cublasLtMatmulAlgo_t& algo, std::int32_t m, const Stream& stream);
    cublasStatus_t multiply(Plan& plan, const cublasLtMatmulAlgo_t& algo, const void* x, const void* w,
                            void* d, std::int32_t m, const Stream& stream);

    CublasLt library_;
    DType type_;
    std::int32_t max_rows_;
    bool deterministic_;
    GemmCache cache_;
    cublasLtHandle_t handle_ = nullptr;
    std::vector<std::int32_t> buckets_;    // ascending; the last is max_rows
    std::vector<std::uint8_t> bucket_of_;  // [max_rows + 1]
    std::vector<std::unique_ptr<Plan>> plans_;
    DeviceBuffer<std::byte> workspace_;
    DeviceBuffer<std::byte> tuning_x_;
    DeviceBuffer<std::byte> tuning_d_;
};

}  // namespace solard::cuda
