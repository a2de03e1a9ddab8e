#include "inference/model/tensors.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string>

#include "inference/model/model_file.hpp"
#include "inference/model/weight_reader.hpp"

namespace solard {
namespace {

std::string text_of(const std::vector<std::int64_t>& shape) {
    std::string text = "[";
    for (const std::int64_t size : shape) {
        if (text.size() > 1) text += ", ";
        text += std::to_string(size);
    }
    return text + "]";
}

// Looks up the tensors of a source by name. The first error is kept. After an error, take() returns null.
class TensorResolver {
  public:
    explicit TensorResolver(const WeightSource& source) : source_(source) {}

    const TensorInfo* take(const std::string& name, const std::vector<std::int64_t>& shape) {
        if (error_) return nullptr;
        const TensorInfo* tensor = source_.find(name);
        if (tensor == nullptr) {
            const auto folder = source_.file_of(source_.tensors().begin()->second).parent_path();
            error_ = bad_model(folder, "tensor " + name + " is missing, expected shape " + text_of(shape));
            return nullptr;
        }
        taken_.insert(tensor);
        if (tensor->shape != shape)
            refuse(*tensor, "has shape " + text_of(tensor->shape) + ", expected " + text_of(shape));
        return error_ ? nullptr : tensor;
    }

    // Refuses the tensors for which take() was not called. They belong to another architecture, and ignoring
    // them would change the results of the model.
    void refuse_others() {
        for (const auto& [name, tensor] : source_.tensors()) {
            // Old versions of transformers stored this table.
            const bool harmless = name.ends_with(".rotary_emb.inv_freq");
            if (error_ || harmless || taken_.contains(&tensor)) continue;
            refuse(tensor, "is unexpected: a Llama model of this size without biases does not have it");
        }
    }

    bool failed() const { return error_.has_value(); }
    result<void> outcome() const { return error_ ? result<void>(*error_) : result<void>(); }
    // Returns the number of bytes of all tensors for which take() was called.
    std::uint64_t num_bytes() const {
        std::uint64_t total = 0;
        for (const TensorInfo* tensor : taken_) total += tensor->num_bytes;
        return total;
    }

  private:
    void refuse(const TensorInfo& tensor, const std::string& what) {
        error_ = bad_model(source_.file_of(tensor), "tensor " + quoted_name(tensor.name) + " " + what);
    }

    const WeightSource& source_;
    std::set<const TensorInfo*> taken_;
    std::optional<Error> error_;
};

LayerTensors take_layer(TensorResolver& tensors, const ModelConfig& config, std::int32_t layer) {
    const std::int64_t hidden = config.hidden_size;
    const std::int64_t intermediate = config.intermediate_size;
    const std::int64_t q_size = std::int64_t{config.num_heads} * config.head_dim;
    const std::int64_t kv_size = std::int64_t{config.num_kv_heads} * config.head_dim;
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    const auto take = [&](std::string_view name, const std::vector<std::int64_t>& shape) {
        return tensors.take(prefix + std::string(name) + ".weight", shape);
    };
    return {
        .input_norm = take("input_layernorm", {hidden}),
        .q_proj = take("self_attn.q_proj", {q_size, hidden}),
        .k_proj = take("self_attn.k_proj", {kv_size, hidden}),
        .v_proj = take("self_attn.v_proj", {kv_size, hidden}),
        .o_proj = take("self_attn.o_proj", {hidden, q_size}),
        .post_norm = take("post_attention_layernorm", {hidden}),
        .gate_proj = take("mlp.gate_proj", {intermediate, hidden}),
        .up_proj = take("mlp.up_proj", {intermediate, hidden}),
        .down_proj = take("mlp.down_proj", {hidden, intermediate}),
    };
}

// Returns the type of most elements of the layers' matrices. If two types have equally many, returns bf16 or,
// if it is not one of them, fp16.
DType main_dtype(const std::vector<LayerTensors>& layers) {
    std::array<std::uint64_t, 3> counts{};  // by DType
    for (const LayerTensors& layer : layers) {
        for (const TensorInfo* matrix : {layer.q_proj, layer.k_proj, layer.v_proj, layer.o_proj,
                                         layer.gate_proj, layer.up_proj, layer.down_proj})
            counts[static_cast<std::size_t>(matrix->dtype)] += matrix->num_bytes / size_of(matrix->dtype);
    }
    return static_cast<DType>(std::ranges::max_element(counts) - counts.begin());
}

}  // namespace

result<ModelTensors> resolve_tensors(const WeightSource& source, const ModelConfig& config) {
    const std::int64_t hidden = config.hidden_size;
    const std::vector<std::int64_t> embedding_shape = {config.vocab_size, hidden};
    TensorResolver tensors(source);
    ModelTensors model{};
    model.embedding = tensors.take("model.embed_tokens.weight", embedding_shape);
    for (std::int32_t layer = 0; layer < config.num_layers && !tensors.failed(); ++layer) {
        model.layers.push_back(take_layer(tensors, config, layer));
    }
    model.final_norm = tensors.take("model.norm.weight", {hidden});
    const bool has_lm_head = source.find("lm_head.weight") != nullptr;
    model.lm_head = config.tie_word_embeddings && !has_lm_head
                        ? model.embedding
                        : tensors.take("lm_head.weight", embedding_shape);
    tensors.refuse_others();
    if (const auto outcome = tensors.outcome(); !outcome) return outcome.error();
    model.dtype = main_dtype(model.layers);
    model.num_bytes = tensors.num_bytes();
    if (!config.tie_word_embeddings || !has_lm_head) return model;

    const auto same = have_same_values(source, *model.embedding, *model.lm_head, model.dtype);
    if (!same) return same.error();
    if (*same) {
        model.num_bytes -= model.lm_head->num_bytes;
        model.lm_head = model.embedding;
    }
    return model;
}

}  // namespace solard
