#include "tests/cuda/emulator/cublaslt.hpp"

#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <array>
#include <cstring>
#include <vector>

#include "inference/model/half.hpp"
#include "tests/cuda/emulator/race_checker.hpp"
#include "tests/cuda/emulator/streams.hpp"

namespace cuda_emulator {
namespace {

struct Layout {
    cudaDataType_t type = CUDA_R_32F;
    std::uint64_t rows = 0;
    std::uint64_t columns = 0;
    std::int64_t leading = 0;
};

struct Desc {
    cublasOperation_t transposed_a = CUBLAS_OP_N;
};

struct Preference {
    std::size_t workspace = 0;
    std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;
};

int num_proposals = 1;
std::array<std::size_t, 5> products{};

Layout& of(cublasLtMatrixLayout_t layout) {
    return *reinterpret_cast<Layout*>(layout);
}
Desc& of(cublasLtMatmulDesc_t desc) {
    return *reinterpret_cast<Desc*>(desc);
}
Preference& of(cublasLtMatmulPreference_t preference) {
    return *reinterpret_cast<Preference*>(preference);
}

std::size_t size_of(cudaDataType_t type) {
    return type == CUDA_R_32F ? 4 : 2;
}

std::size_t workspace_of(std::uint64_t algorithm) {
    return algorithm == 2 ? std::size_t{64} << 20 : 0;
}

// Returns how the algorithm adds the parts of a product if it splits K.
std::uint32_t reduction_of(std::uint64_t algorithm) {
    if (algorithm == 1) return CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    if (algorithm == 4) return CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
    return CUBLASLT_REDUCTION_SCHEME_NONE;
}

void store(float value, std::byte* to, cudaDataType_t type) {
    if (type == CUDA_R_32F) {
        std::memcpy(to, &value, sizeof(value));
        return;
    }
    const std::uint16_t bits = type == CUDA_R_16BF ? __bfloat16_as_ushort(__float2bfloat16_rn(value))
                                                   : __half_as_ushort(__float2half_rn(value));
    std::memcpy(to, &bits, sizeof(bits));
}

// Writes a column of a matrix to `out` as floats.
void unpack(const std::byte* matrix, const Layout& layout, std::uint64_t column, std::vector<float>& out) {
    out.resize(layout.rows);
    const auto* const begin =
        reinterpret_cast<const std::uint16_t*>(matrix) + column * static_cast<std::uint64_t>(layout.leading);
    if (layout.type == CUDA_R_16BF) {
        for (std::uint64_t i = 0; i < layout.rows; ++i) out[i] = solard::float_from_bf16(begin[i]);
    } else {
        for (std::uint64_t i = 0; i < layout.rows; ++i) out[i] = solard::float_from_fp16(begin[i]);
    }
}

#ifdef __x86_64__
#define SOLARD_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define SOLARD_CLONES
#endif

// dot() computes a dot product as independent partial sums, which it adds in a fixed order.
using Lanes = float __attribute__((vector_size(32), aligned(4), may_alias));
constexpr std::size_t num_lanes = sizeof(Lanes) / sizeof(float);

SOLARD_CLONES float dot(const float* a, const float* b, std::size_t count) {
    Lanes even{};
    Lanes odd{};
    std::size_t i = 0;
    for (; i + 2 * num_lanes <= count; i += 2 * num_lanes) {
        even += *reinterpret_cast<const Lanes*>(a + i) * *reinterpret_cast<const Lanes*>(b + i);
        odd += *reinterpret_cast<const Lanes*>(a + i + num_lanes) *
               *reinterpret_cast<const Lanes*>(b + i + num_lanes);
    }
    even += odd;
    float sum = 0;
    for (std::size_t lane = 0; lane < num_lanes; ++lane) sum += even[lane];
    for (; i < count; ++i) sum += a[i] * b[i];
    return sum;
}

// Computes d = a^T b. a is k x n, b is k x m and d is n x m, all column-major.
struct Product {
    const std::byte* a;
    const std::byte* b;
    std::byte* d;
    Layout a_layout;
    Layout b_layout;
    Layout d_layout;

    void run() const {
        std::vector<std::vector<float>> rows(b_layout.columns);
        for (std::uint64_t m = 0; m < b_layout.columns; ++m) unpack(b, b_layout, m, rows[m]);
        std::vector<float> weight;
        const std::size_t size = size_of(d_layout.type);
        for (std::uint64_t n = 0; n < a_layout.columns; ++n) {
            unpack(a, a_layout, n, weight);
            for (std::uint64_t m = 0; m < rows.size(); ++m) {
                std::byte* const to = d + (m * static_cast<std::uint64_t>(d_layout.leading) + n) * size;
                store(dot(weight.data(), rows[m].data(), weight.size()), to, d_layout.type);
            }
        }
        for (std::uint64_t m = 0; m < rows.size(); ++m) {
            note_host_write(d + m * static_cast<std::uint64_t>(d_layout.leading) * size,
                            d_layout.rows * size);
        }
    }
};

bool lies_in_memory(const std::byte* matrix, const Layout& layout) {
    const std::uint64_t elements =
        (layout.columns - 1) * static_cast<std::uint64_t>(layout.leading) + layout.rows;
    return std::bit_cast<std::uintptr_t>(matrix) % 16 == 0 &&
           is_device_memory(matrix, elements * size_of(layout.type));
}

bool is_supported(const Desc& desc, const Layout& a, const Layout& b, const Layout& d) {
    return desc.transposed_a == CUBLAS_OP_T && a.type == b.type && a.type != CUDA_R_32F && a.rows == b.rows &&
           a.columns == d.rows && b.columns == d.columns && a.leading >= static_cast<std::int64_t>(a.rows) &&
           b.leading >= static_cast<std::int64_t>(b.rows) && d.leading >= static_cast<std::int64_t>(d.rows);
}

std::size_t get_version() {
    return 130100;
}
cublasStatus_t create(cublasLtHandle_t* handle) {
    static int anything = 0;
    *handle = reinterpret_cast<cublasLtHandle_t>(&anything);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy(cublasLtHandle_t) {
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t create_desc(cublasLtMatmulDesc_t* desc, cublasComputeType_t, cudaDataType_t) {
    *desc = reinterpret_cast<cublasLtMatmulDesc_t>(new Desc);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy_desc(cublasLtMatmulDesc_t desc) {
    delete &of(desc);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t set_desc(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                        const void* value, std::size_t size) {
    if (attribute != CUBLASLT_MATMUL_DESC_TRANSA) return CUBLAS_STATUS_NOT_SUPPORTED;
    std::memcpy(&of(desc).transposed_a, value, size);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t create_layout(cublasLtMatrixLayout_t* layout, cudaDataType_t type, std::uint64_t rows,
                             std::uint64_t columns, std::int64_t leading) {
    *layout = reinterpret_cast<cublasLtMatrixLayout_t>(
        new Layout{.type = type, .rows = rows, .columns = columns, .leading = leading});
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy_layout(cublasLtMatrixLayout_t layout) {
    delete &of(layout);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t set_layout(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute,
                          const void* value, std::size_t size) {
    if (attribute != CUBLASLT_MATRIX_LAYOUT_COLS) return CUBLAS_STATUS_NOT_SUPPORTED;
    std::memcpy(&of(layout).columns, value, size);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t create_preference(cublasLtMatmulPreference_t* preference) {
    *preference = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy_preference(cublasLtMatmulPreference_t preference) {
    delete &of(preference);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t set_preference(cublasLtMatmulPreference_t preference,
                              cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                              std::size_t size) {
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
        std::memcpy(&of(preference).workspace, value, size);
    } else if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) {
        std::memcpy(&of(preference).reductions, value, size);
    } else {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check_algo(cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                          cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
                          const cublasLtMatmulAlgo_t* algo, cublasLtMatmulHeuristicResult_t* result) {
    const std::uint64_t algorithm = algo->data[0];
    if (algorithm >= products.size() || !is_supported(of(desc), of(a), of(b), of(d))) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    result->algo = *algo;
    result->workspaceSize = workspace_of(algorithm);
    result->state = CUBLAS_STATUS_SUCCESS;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t get_heuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                             cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                             cublasLtMatmulPreference_t preference, int wanted,
                             cublasLtMatmulHeuristicResult_t* results, int* count) {
    *count = 0;
    for (std::uint64_t algorithm = 0; algorithm < static_cast<std::uint64_t>(num_proposals); ++algorithm) {
        if (*count == wanted || workspace_of(algorithm) > of(preference).workspace) continue;
        if ((reduction_of(algorithm) & ~of(preference).reductions) != 0) continue;
        const cublasLtMatmulAlgo_t algo{.data = {algorithm}};
        const cublasStatus_t status = check_algo(handle, desc, a, b, c, d, &algo, results + *count);
        if (status != CUBLAS_STATUS_SUCCESS) return status;
        ++*count;
    }
    return *count == 0 ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t get_config(const cublasLtMatmulAlgo_t* algo, cublasLtMatmulAlgoConfigAttributes_t attribute,
                          void* value, std::size_t size, std::size_t* written) {
    std::uint32_t answer = reduction_of(algo->data[0]);
    if (attribute == CUBLASLT_ALGO_CONFIG_SPLITK_NUM) {
        answer = answer == CUBLASLT_REDUCTION_SCHEME_NONE ? 1 : 4;
    } else if (attribute != CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    std::memcpy(value, &answer, size);
    *written = size;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t matmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                      cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                      const void* beta, const void*, cublasLtMatrixLayout_t, void* d,
                      cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo, void*,
                      std::size_t workspace, cudaStream_t stream) {
    const Product product{.a = static_cast<const std::byte*>(a),
                          .b = static_cast<const std::byte*>(b),
                          .d = static_cast<std::byte*>(d),
                          .a_layout = of(a_layout),
                          .b_layout = of(b_layout),
                          .d_layout = of(d_layout)};
    const bool plain = *static_cast<const float*>(alpha) == 1 && *static_cast<const float*>(beta) == 0;
    if (!plain || algo->data[0] >= products.size() || workspace < workspace_of(algo->data[0]) ||
        !is_supported(of(desc), product.a_layout, product.b_layout, product.d_layout)) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    if (!lies_in_memory(product.a, product.a_layout) || !lies_in_memory(product.b, product.b_layout) ||
        !lies_in_memory(product.d, product.d_layout)) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    ++products[algo->data[0]];
    return enqueue(stream, [product] { product.run(); }) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                                        : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace

solard::cuda::CublasLt make_cublaslt() {
    return {.get_version = get_version,
            .create = create,
            .destroy = destroy,
            .matmul = matmul,
            .get_heuristic = get_heuristic,
            .check_algo = check_algo,
            .get_config = get_config,
            .create_desc = create_desc,
            .destroy_desc = destroy_desc,
            .set_desc = set_desc,
            .create_layout = create_layout,
            .destroy_layout = destroy_layout,
            .set_layout = set_layout,
            .create_preference = create_preference,
            .destroy_preference = destroy_preference,
            .set_preference = set_preference,
            .file = "the tests"};
}

void set_proposals(int count) {
    num_proposals = count;
}
std::size_t products_of(int algorithm) {
    return products[static_cast<std::size_t>(algorithm)];
}

}  // namespace cuda_emulator
