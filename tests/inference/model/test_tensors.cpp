#include "inference/model/tensors.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "tests/support/check_refused.hpp"
#include "tests/support/model_folder.hpp"
#include "tests/support/typed_tensors.hpp"

namespace solard {
namespace {

ModelConfig tiny_config() {
    ModelConfig config;
    config.vocab_size = 10;
    config.hidden_size = 12;
    config.intermediate_size = 7;
    config.num_layers = 2;
    config.num_heads = 4;
    config.num_kv_heads = 2;
    config.head_dim = 4;  // heads * head_dim differs from hidden
    config.max_position_embeddings = 32;
    config.rms_norm_eps = 1e-5F;
    config.eos_token_ids = {2};
    return config;
}

TensorData& named(std::vector<TensorData>& tensors, std::string_view name) {
    const auto it = std::ranges::find(tensors, name, &TensorData::name);
    BOOST_REQUIRE(it != tensors.end());
    return *it;
}

// Keeps the weight source alive as long as the tensors, which point into it.
struct Resolved {
    Resolved(const std::vector<TensorData>& tensors, const ModelConfig& config) {
        folder.write_safetensors("model.safetensors", tensors);
        source = WeightSource::open(folder.path());
        require_accepted(source);
        model = resolve_tensors(*source, config);
    }
    ModelFolder folder;
    result<WeightSource> source = Error{errc::backend_failed, ""};
    result<ModelTensors> model = Error{errc::backend_failed, ""};
};

BOOST_AUTO_TEST_SUITE(model_tensors)

BOOST_AUTO_TEST_CASE(finds_every_tensor_by_its_published_name) {
    for (const DType dtype : {DType::bf16, DType::fp16, DType::fp32}) {
        const Resolved resolved(llama_tensors(tiny_config(), dtype), tiny_config());
        require_accepted(resolved.model);
        const ModelTensors& model = *resolved.model;
        BOOST_TEST((model.dtype == dtype));
        BOOST_TEST(model.embedding->name == "model.embed_tokens.weight");
        BOOST_TEST(model.final_norm->name == "model.norm.weight");
        BOOST_TEST(model.lm_head->name == "lm_head.weight");
        BOOST_REQUIRE(model.layers.size() == 2U);
        const LayerTensors& layer = model.layers[1];
        BOOST_TEST(layer.input_norm->name == "model.layers.1.input_layernorm.weight");
        BOOST_TEST(layer.q_proj->name == "model.layers.1.self_attn.q_proj.weight");
        BOOST_TEST(layer.k_proj->name == "model.layers.1.self_attn.k_proj.weight");
        BOOST_TEST(layer.v_proj->name == "model.layers.1.self_attn.v_proj.weight");
        BOOST_TEST(layer.o_proj->name == "model.layers.1.self_attn.o_proj.weight");
        BOOST_TEST(layer.post_norm->name == "model.layers.1.post_attention_layernorm.weight");
        BOOST_TEST(layer.gate_proj->name == "model.layers.1.mlp.gate_proj.weight");
        BOOST_TEST(layer.up_proj->name == "model.layers.1.mlp.up_proj.weight");
        BOOST_TEST(layer.down_proj->name == "model.layers.1.mlp.down_proj.weight");
        BOOST_TEST(layer.q_proj->shape == (std::vector<std::int64_t>{16, 12}));
        BOOST_TEST(layer.k_proj->shape == (std::vector<std::int64_t>{8, 12}));
        BOOST_TEST(layer.o_proj->shape == (std::vector<std::int64_t>{12, 16}));
        BOOST_TEST(layer.down_proj->shape == (std::vector<std::int64_t>{12, 7}));
    }
}

BOOST_AUTO_TEST_CASE(num_bytes_is_that_of_all_parameters) {
    const Resolved resolved(llama_tensors(tiny_config(), DType::bf16), tiny_config());
    BOOST_TEST(resolved.model->num_bytes == 2 * static_cast<std::uint64_t>(tiny_config().num_parameters()));
}

BOOST_AUTO_TEST_CASE(tied_embedding_is_also_the_lm_head) {
    ModelConfig config = tiny_config();
    config.tie_word_embeddings = true;
    const Resolved resolved(llama_tensors(config, DType::bf16), config);
    require_accepted(resolved.model);
    BOOST_TEST(resolved.model->lm_head == resolved.model->embedding);
}

BOOST_AUTO_TEST_CASE(stored_lm_head_of_a_tied_model_is_used_only_if_it_differs) {
    ModelConfig tied = tiny_config();
    tied.tie_word_embeddings = true;
    auto tensors = random_tensors(tiny_config());
    for (TensorData& tensor : tensors) tensor = stored_as(DType::bf16, tensor);
    const auto num_bytes = [](const ModelConfig& config) {
        return 2 * static_cast<std::uint64_t>(config.num_parameters());
    };
    const Resolved different(tensors, tied);
    require_accepted(different.model);
    BOOST_TEST(different.model->lm_head->name == "lm_head.weight");
    BOOST_TEST(different.model->num_bytes == num_bytes(tiny_config()));

    TensorData& embedding = named(tensors, "model.embed_tokens.weight");
    TensorData& lm_head = named(tensors, "lm_head.weight");
    lm_head.bytes = embedding.bytes;
    const Resolved equal(tensors, tied);
    require_accepted(equal.model);
    BOOST_TEST(equal.model->lm_head == equal.model->embedding);
    BOOST_TEST(equal.model->num_bytes == num_bytes(tied));

    // The comparison is made in the model's type. A copy in another type is a copy, too.
    embedding = stored_as(DType::fp32, embedding);
    set_element(embedding, 0, 0x3f800001);  // bf16 rounds it to 1
    set_element(lm_head, 0, 0x3f80);
    const Resolved rounded(tensors, tied);
    require_accepted(rounded.model);
    BOOST_TEST(rounded.model->lm_head == rounded.model->embedding);

    // The last element decides as well as the first.
    set_element(lm_head, lm_head.bytes.size() / 2 - 1, 0x4000);
    const Resolved last(tensors, tied);
    require_accepted(last.model);
    BOOST_TEST(last.model->lm_head->name == "lm_head.weight");
}

BOOST_AUTO_TEST_CASE(stored_lm_head_of_a_tied_model_must_have_the_shape_of_the_embedding) {
    ModelConfig tied = tiny_config();
    tied.tie_word_embeddings = true;
    auto tensors = llama_tensors(tiny_config(), DType::bf16);
    named(tensors, "lm_head.weight").shape.push_back(1);
    const Resolved resolved(tensors, tied);
    check_refused(resolved.model, {"lm_head.weight", "[10, 12, 1]", "expected [10, 12]"});
}

BOOST_AUTO_TEST_CASE(each_missing_tensor_is_named_with_its_shape) {
    const auto tensors = llama_tensors(tiny_config(), DType::bf16);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        auto others = tensors;
        others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
        const Resolved resolved(others, tiny_config());
        check_refused(resolved.model,
                      {tensors[i].name, "missing", "[" + std::to_string(tensors[i].shape[0])});
    }
}

BOOST_AUTO_TEST_CASE(each_wrong_shape_is_refused_with_both_shapes) {
    const auto tensors = llama_tensors(tiny_config(), DType::bf16);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        auto changed = tensors;
        changed[i].shape.push_back(1);  // does not change the number of bytes
        const Resolved resolved(changed, tiny_config());
        check_refused(resolved.model, {"model.safetensors", tensors[i].name, ", 1]", "expected ["});
    }
}

BOOST_AUTO_TEST_CASE(embedding_of_another_vocabulary_size_is_refused) {
    ModelConfig config = tiny_config();
    config.vocab_size = 11;
    const Resolved resolved(llama_tensors(tiny_config(), DType::bf16), config);
    check_refused(resolved.model, {"model.embed_tokens.weight", "[10, 12]", "[11, 12]"});
}

BOOST_AUTO_TEST_CASE(type_of_a_mixed_model_is_that_of_most_elements_of_the_projections) {
    const auto dtype_with = [](DType others, std::initializer_list<std::string_view> fp32_names) {
        auto tensors = llama_tensors(tiny_config(), others);
        for (TensorData& tensor : tensors) {
            for (const std::string_view name : fp32_names) {
                if (tensor.name.find(name) != std::string::npos) tensor = stored_as(DType::fp32, tensor);
            }
        }
        const Resolved resolved(tensors, tiny_config());
        require_accepted(resolved.model);
        return name_of(resolved.model->dtype);
    };
    for (const DType others : {DType::bf16, DType::fp16}) {
        // The norms, the embedding and lm_head do not count, however many bytes they have.
        BOOST_TEST(dtype_with(others, {"norm", "embed_tokens", "lm_head"}) == name_of(others));
        BOOST_TEST(dtype_with(others, {"v_proj", "k_proj"}) == name_of(others));
        BOOST_TEST(dtype_with(others, {"q_proj", "o_proj", "gate", "up", "down"}) == "fp32");
    }
}

BOOST_AUTO_TEST_CASE(tensors_of_other_architectures_are_refused) {
    for (const char* name : {"model.layers.0.self_attn.q_proj.bias", "model.layers.0.self_attn.q_norm.weight",
                             "model.layers.2.mlp.up_proj.weight"}) {
        auto tensors = llama_tensors(tiny_config(), DType::bf16);
        tensors.push_back({name, DType::bf16, {1}, std::vector<std::byte>(2)});
        const Resolved resolved(tensors, tiny_config());
        check_refused(resolved.model, {"model.safetensors", name});
    }
}

BOOST_AUTO_TEST_CASE(rotary_tables_of_old_writers_are_left_out) {
    auto tensors = llama_tensors(tiny_config(), DType::bf16);
    tensors.push_back(
        {"model.layers.0.self_attn.rotary_emb.inv_freq", DType::fp32, {2}, std::vector<std::byte>(8)});
    const Resolved resolved(tensors, tiny_config());
    require_accepted(resolved.model);
    // When a backend loads the model, it reads the parameters but not the rotary table.
    BOOST_TEST(resolved.model->num_bytes == 2 * static_cast<std::uint64_t>(tiny_config().num_parameters()));
}

BOOST_AUTO_TEST_CASE(demonstration_model_is_complete) {
    const auto folder = std::filesystem::path(SOLARD_SOURCE_DIR) / "config/demo-model";
    const auto config = load_model_config(folder);
    require_accepted(config);
    const auto source = WeightSource::open(folder);
    require_accepted(source);
    const auto model = resolve_tensors(*source, *config);
    require_accepted(model);
    BOOST_TEST(model->num_bytes ==
               size_of(model->dtype) * static_cast<std::uint64_t>(config->num_parameters()));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
