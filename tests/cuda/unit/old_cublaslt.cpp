// A stand-in for the libcublasLt of CUDA 12: it has every function, and its version is 12.
#include <cstddef>

extern "C" {

std::size_t cublasLtGetVersion() {
    return 120400;
}

#define SOLARD_FUNCTION(name) \
    int name() {              \
        return 0;             \
    }
SOLARD_FUNCTION(cublasLtCreate)
SOLARD_FUNCTION(cublasLtDestroy)
SOLARD_FUNCTION(cublasLtMatmul)
SOLARD_FUNCTION(cublasLtMatmulAlgoGetHeuristic)
SOLARD_FUNCTION(cublasLtMatmulAlgoCheck)
SOLARD_FUNCTION(cublasLtMatmulAlgoConfigGetAttribute)
SOLARD_FUNCTION(cublasLtMatmulDescCreate)
SOLARD_FUNCTION(cublasLtMatmulDescDestroy)
SOLARD_FUNCTION(cublasLtMatmulDescSetAttribute)
SOLARD_FUNCTION(cublasLtMatrixLayoutCreate)
SOLARD_FUNCTION(cublasLtMatrixLayoutDestroy)
SOLARD_FUNCTION(cublasLtMatrixLayoutSetAttribute)
SOLARD_FUNCTION(cublasLtMatmulPreferenceCreate)
SOLARD_FUNCTION(cublasLtMatmulPreferenceDestroy)
SOLARD_FUNCTION(cublasLtMatmulPreferenceSetAttribute)
#undef SOLARD_FUNCTION

}  // extern "C"
