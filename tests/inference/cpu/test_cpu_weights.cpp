// Tests how the CPU backend loads weights of different types, and weights with which it cannot compute.
#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "inference/cpu/cpu_backend.hpp"
#include "tests/support/batch_builder.hpp"
#include "tests/support/cpu_variants.hpp"
#include "tests/support/hashed_model.hpp"
#include "tests/support/typed_tensors.hpp"

namespace solard {
namespace {

std::vector<float> logits_of(const ModelConfig& config, const std::vector<TensorData>& tensors,
                             DType compute_type) {
    const ModelFolder folder;
    folder.write_text("config.json", config_json(config));
    folder.write_safetensors("model.safetensors", tensors);
    const LoadedModel model(folder.path());
    CpuBackendOptions options;
    options.compute_type = compute_type;
    options.num_threads = 2;
    options.kv_cache_bytes = std::size_t{1} << 20;
    options.max_model_len = 64;
    CpuBackend backend(model.source, model.tensors, model.config, options);
    ForwardBatch batch;
    batch.block_table_stride = 1;
    add_chunk(batch, {{1, 17, 300, 4, 99}, {0}}, 0, 5, 0);
    StepResults results;
    backend.submit(batch);
    backend.collect(results);
    return {backend.logits().begin(), backend.logits().end()};
}

void check_refused_weights(const std::vector<TensorData>& tensors, DType compute_type,
                           std::initializer_list<std::string_view> parts) {
    BOOST_CHECK_EXCEPTION(logits_of(small_gqa_config(), tensors, compute_type), ErrorException,
                          [&](const ErrorException& failure) {
                              const std::string& message = failure.error.message;
                              return failure.error.code == errc::bad_model &&
                                     std::ranges::all_of(parts, [&](std::string_view part) {
                                         return message.find(part) != std::string::npos;
                                     });
                          });
}

BOOST_AUTO_TEST_SUITE(cpu_weights)

BOOST_AUTO_TEST_CASE(mixed_types_give_the_logits_of_the_converted_file) {
    constexpr DType types[] = {DType::fp32, DType::bf16, DType::fp16};
    const ModelConfig config = small_gqa_config();
    const std::vector<TensorData> exact = random_tensors(config);
    for (const DType compute_type : {DType::bf16, DType::fp16}) {
        for (std::size_t shift = 0; shift < 3; ++shift) {
            std::vector<TensorData> mixed;
            std::vector<TensorData> uniform;
            for (std::size_t i = 0; i < exact.size(); ++i) {
                mixed.push_back(stored_as(types[(i + shift) % 3], exact[i]));
                uniform.push_back(stored_as(compute_type, mixed.back()));
            }
            BOOST_TEST(
                same_bits(logits_of(config, mixed, compute_type), logits_of(config, uniform, compute_type)));
        }
    }
}

BOOST_AUTO_TEST_CASE(norms_and_embeddings_in_fp32_are_converted) {
    const ModelConfig config = small_gqa_config();
    std::vector<TensorData> mixed;
    std::vector<TensorData> uniform;
    for (const TensorData& tensor : random_tensors(config)) {
        const bool is_fp32 = tensor.shape.size() == 1 || tensor.name == "model.embed_tokens.weight";
        mixed.push_back(is_fp32 ? tensor : stored_as(DType::bf16, tensor));
        uniform.push_back(stored_as(DType::bf16, tensor));
    }
    BOOST_TEST(same_bits(logits_of(config, mixed, DType::bf16), logits_of(config, uniform, DType::bf16)));
}

BOOST_AUTO_TEST_CASE(nan_and_infinity_are_found_in_every_tensor) {
    std::vector<TensorData> tensors;
    for (const TensorData& tensor : random_tensors(small_gqa_config()))
        tensors.push_back(stored_as(DType::bf16, tensor));
    for (TensorData& tensor : tensors) {
        const TensorData sound = tensor;
        for (const std::uint32_t bits : {0x7fc0U, 0xff80U}) {
            for (const std::size_t index : {std::size_t{0}, tensor.bytes.size() / 2 - 1}) {
                set_element(tensor, index, bits);
                check_refused_weights(tensors, DType::bf16,
                                      {"\"" + tensor.name + "\"", "element " + std::to_string(index) + " is",
                                       bits == 0x7fc0 ? "NaN" : "infinite"});
                tensor = sound;
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(value_beyond_fp16_asks_for_bf16) {
    std::vector<TensorData> tensors = random_tensors(small_gqa_config());
    set_element(tensors.front(), 3, 0x47800000);  // 65536
    check_refused_weights(tensors, DType::fp16, {"model.embed_tokens.weight", "65536", "--dtype bf16"});
    BOOST_TEST(logits_of(small_gqa_config(), tensors, DType::bf16).size() == 5U * 301);
}

BOOST_AUTO_TEST_CASE(tied_model_with_another_lm_head_computes_like_an_untied_one) {
    ModelConfig untied = small_gqa_config();
    ModelConfig tied = untied;
    tied.tie_word_embeddings = true;
    std::vector<TensorData> tensors = random_tensors(untied);
    const auto own_head = logits_of(untied, tensors, DType::bf16);
    BOOST_TEST(same_bits(logits_of(tied, tensors, DType::bf16), own_head));

    TensorData& lm_head = tensors.back();
    BOOST_REQUIRE(lm_head.name == "lm_head.weight");
    lm_head.bytes = tensors.front().bytes;
    const auto copied_head = logits_of(tied, tensors, DType::bf16);
    BOOST_TEST(!same_bits(copied_head, own_head));
    tensors.pop_back();
    BOOST_TEST(same_bits(logits_of(tied, tensors, DType::bf16), copied_head));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
