// Maps a DType, which is known only at run time, to the type that a kernel is compiled for.
#pragma once

#include <stdexcept>
#include <type_traits>

#include "cuda/half.cuh"
#include "inference/model/config.hpp"

namespace solard::cuda {

// Calls function(T{}) with T = __nv_bfloat16 or __half.
template <class Function>
void with_compute_type(DType type, const Function& function) {
    switch (type) {
        case DType::bf16:
            return function(__nv_bfloat16{});
        case DType::fp16:
            return function(__half{});
        case DType::fp32:
            break;
    }
    throw std::logic_error("the compute type must be bf16 or fp16");
}

}  // namespace solard::cuda
