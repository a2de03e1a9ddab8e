// cuBLASLt's matrix product on the CPU, behind the library's own names: what a test puts into the table of
// functions.
#pragma once

#include "cuda/cublaslt.hpp"

namespace cuda_emulator {

solard::cuda::CublasLt make_cublaslt();

// How many algorithms are proposed for a product, 1 to 5; 1 at the start, so that nothing needs to be
// measured. Number 1 splits K and adds up in fp32, number 2 asks for 64 MiB of workspace, number 4 splits K
// and adds up in the type of the output.
void set_proposals(int count);
// Products computed by the algorithm of this number.
std::size_t products_of(int algorithm);

}  // namespace cuda_emulator
