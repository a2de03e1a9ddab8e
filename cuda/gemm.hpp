// The large matrix products. The algorithms of cuBLASLt are chosen by measuring, and the choices are kept on
// disk.
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

// The product d[m, n] = x[m, k] w[n, k]^T. All three matrices are row-major, x and w have the compute type,
// and sums are fp32.
struct GemmShape {
    std::int32_t n = 0;
    std::int32_t k = 0;
    DType out = DType::bf16;      // type of d: the compute type or fp32
    std::int32_t out_stride = 0;  // elements between the starts of two rows of d
};

// The algorithm that a plan uses for up to `rows` rows, in the form that the benchmark reports.
struct GemmChoice {
    GemmShape shape;
    std::int32_t rows = 0;
    std::int32_t split_k = 0;
    float microseconds = 0;  // of one run, as tune() measured it
};

// Must be used by one thread only. run() allocates nothing.
class Gemm {
  public:
    using Id = std::size_t;

    // max_rows is the largest m. If `deterministic` is true, a product uses one algorithm for every m,
    // without split K, so that a row's bits do not depend on m. This algorithm is the first of cuBLASLt's
    // proposals for max_rows that is valid for all numbers in buckets_. It is therefore the same at every
    // start on the same card. `cache_folder` keeps the measured choices for the next start. If the path is
    // empty, nothing is kept.
    Gemm(const CublasLt& library, DType type, std::int32_t max_rows, bool deterministic,
         const std::filesystem::path& cache_folder = default_cache_folder());
    Gemm(const Gemm&) = delete;
    Gemm& operator=(const Gemm&) = delete;
    ~Gemm();

    // Adds a product. `weights` holds the addresses of all matrices of this shape. tune() measures with these
    // matrices.
    Id add(const GemmShape& shape, std::vector<const void*> weights);
    // Chooses an algorithm for every shape and every number of rows in buckets_. Only algorithms that keep
    // all partial sums in fp32 are allowed. If the cache file has no choice, cuBLASLt's proposals are
    // measured. Each measured run uses the next matrix of `weights`. If the matrices are large enough, this
    // matrix is not in the L2 cache any more. Must be called once, after the last add(). Throws DeviceError
    // if cuBLASLt has no algorithm.
    void tune(const Stream& stream);

    // Enqueues the product for 1 <= m <= max_rows.
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
    // The row counts for which an algorithm is chosen, ascending. The last is max_rows.
    std::vector<std::int32_t> buckets_;
    std::vector<std::uint8_t> bucket_of_;  // [max_rows + 1], indices into buckets_
    std::vector<std::unique_ptr<Plan>> plans_;
    DeviceBuffer<std::byte> workspace_;
    DeviceBuffer<std::byte> tuning_x_;
    DeviceBuffer<std::byte> tuning_d_;
};

}  // namespace solard::cuda
