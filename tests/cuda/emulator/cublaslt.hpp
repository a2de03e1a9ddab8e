// cuBLASLt's matrix product on the CPU, with the interface of the library. A test puts these functions into
// the table CublasLt.
#pragma once

#include "cuda/cublaslt.hpp"

namespace cuda_emulator {

solard::cuda::CublasLt make_cublaslt();

// Sets how many algorithms are proposed for a product, 1 to 5. It is 1 at the start, so that nothing needs to
// be measured. Algorithm 1 splits K and adds up in fp32, algorithm 2 needs 64 MiB of workspace, and algorithm
// 4 splits K and adds up in the type of the output.
void set_proposals(int count);
// Returns the number of products that this algorithm computed.
std::size_t products_of(int algorithm);

}  // namespace cuda_emulator
