// Emulates cuBLASLt's matrix product on the CPU. make_cublaslt() returns a table of functions with the
// interface of the real library.
#pragma once

#include "cuda/cublaslt.hpp"

namespace cuda_emulator {

solard::cuda::CublasLt make_cublaslt();

// Sets how many of the algorithms 0 to 4 are proposed for a product: 1 to 5. At the start only algorithm 0 is
// proposed, so that nothing needs to be measured. Algorithm 1 splits K and adds the parts in fp32, algorithm
// 2 needs 64 MiB of workspace, and algorithm 4 splits K and adds the parts in the type of the output.
void set_proposals(int count);
// Returns the number of products that this algorithm computed.
std::size_t products_of(int algorithm);

}  // namespace cuda_emulator
