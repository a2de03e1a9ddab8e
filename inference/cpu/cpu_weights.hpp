// The weights of a Llama model, packed for the CPU kernels.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "inference/cpu/arena.hpp"
#include "inference/cpu/packed_matrix.hpp"
#include "inference/cpu/thread_pool.hpp"
#include "inference/model/tensors.hpp"

namespace solard {

// Projections that read the same input are stored as one matrix.
struct CpuLayer {
    std::span<const float> input_norm;
    PackedMatrix qkv;  // [(heads + 2 kv_heads) * head_dim, hidden]
    PackedMatrix o;
    std::span<const float> post_norm;
    PackedMatrix gate_up;  // [2 * intermediate, hidden]
    PackedMatrix down;
};

struct CpuWeights {
    std::unique_ptr<Arena> arena;  // holds everything below
    PackedMatrix embedding;
    std::vector<CpuLayer> layers;
    std::span<const float> final_norm;
    PackedMatrix lm_head;  // shares the embedding's memory if the weights are tied
};

// Reads every tensor once, in parallel, converts it to the compute type and packs it into its final place.
// Vectors are stored as floats, but have values of the compute type. Throws ErrorException (bad_model) if a
// file cannot be read or a weight is not finite in the compute type, std::bad_alloc if memory is short.
CpuWeights load_cpu_weights(const WeightSource& source, const ModelTensors& tensors, DType compute_type,
                            ThreadPool& pool, const OnLoadProgress& on_progress);

}  // namespace solard
