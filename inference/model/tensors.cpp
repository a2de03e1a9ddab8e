#include "inference/model/tensors.hpp"

#include <optional>
#include <set>
#include <string>

#include "inference/model/model_file.hpp"

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
        if (!dtype_) dtype_ = tensor->dtype;
        if (tensor->shape != shape) {
            refuse(*tensor, "has shape " + text_of(tensor->shape) + ", expected " + text_of(shape));
        } else if (tensor->dtype != *dtype_) {
            refuse(*tensor, "is " + std::string(name_of(tensor->dtype)) + ", expected " +
                                std::string(name_of(*dtype_)) + " like the tensors before it");
        }
        return error_ ? nullptr : tensor;
    }

    // Refuses the tensors for which take() was not called. They belong to another architecture, and ignoring
    // them would change the results of the model.
    void refuse_others(bool tied) {
        for (const auto& [name, tensor] : source_.tensors()) {
            const bool harmless =
                name.ends_with(".rotary_emb.inv_freq") ||  // a table that old versions of transformers stored
                (tied && name == "lm_head.weight");        // a second copy of the embedding
            if (error_ || harmless || taken_.contains(&tensor)) continue;
            refuse(tensor, "is unexpected: a Llama model of this size without biases does not have it");
        }
    }

    bool failed() const { return error_.has_value(); }
    result<void> outcome() const { return error_ ? result<void>(*error_) : result<void>(); }
    DType dtype() const { return dtype_.value_or(DType::bf16); }
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
    std::optional<DType> dtype_;
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
    model.lm_head =
        config.tie_word_embeddings ? model.embedding : tensors.take("lm_head.weight", embedding_shape);
    tensors.refuse_others(config.tie_word_embeddings);
    if (const auto outcome = tensors.outcome(); !outcome) return outcome.error();
    model.dtype = tensors.dtype();
    model.num_bytes = tensors.num_bytes();
    return model;
}

}  // namespace solard
