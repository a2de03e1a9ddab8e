#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>

#include "inference/model/config.hpp"
#include "tests/support/check_refused.hpp"
#include "tests/support/model_folder.hpp"

namespace solard {
namespace {

namespace json = boost::json;

// The published sizes of SOLAR-10.7B-Instruct-v1.0.
json::object solar_config() {
    return json::parse(R"({
        "architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": 1, "eos_token_id": 2,
        "hidden_act": "silu", "hidden_size": 4096, "intermediate_size": 14336,
        "max_position_embeddings": 4096, "model_type": "llama", "num_attention_heads": 32,
        "num_hidden_layers": 48, "num_key_value_heads": 8, "pretraining_tp": 1, "rms_norm_eps": 1e-05,
        "rope_scaling": null, "rope_theta": 10000.0, "tie_word_embeddings": false,
        "torch_dtype": "float16", "use_cache": false, "vocab_size": 32000})")
        .as_object();
}

result<ModelConfig> load(const json::object& config, const char* generation_config = nullptr) {
    const ModelFolder folder;
    folder.write_text("config.json", json::serialize(config));
    if (generation_config != nullptr) folder.write_text("generation_config.json", generation_config);
    return load_model_config(folder.path());
}

result<ModelConfig> load_with(std::string_view key, const json::value& value) {
    json::object config = solar_config();
    config[key] = value;
    return load(config);
}

result<ModelConfig> load_without(std::string_view key) {
    json::object config = solar_config();
    config.erase(key);
    return load(config);
}

ModelConfig loaded(const result<ModelConfig>& config) {
    require_accepted(config);
    return *config;
}

BOOST_AUTO_TEST_SUITE(model_config)

BOOST_AUTO_TEST_CASE(reads_the_published_solar_configuration) {
    const ModelConfig config = loaded(load(solar_config()));
    BOOST_TEST(config.vocab_size == 32000);
    BOOST_TEST(config.hidden_size == 4096);
    BOOST_TEST(config.intermediate_size == 14336);
    BOOST_TEST(config.num_layers == 48);
    BOOST_TEST(config.num_heads == 32);
    BOOST_TEST(config.num_kv_heads == 8);
    BOOST_TEST(config.head_dim == 128);
    BOOST_TEST(config.max_position_embeddings == 4096);
    BOOST_TEST(config.rms_norm_eps == 1e-5F);
    BOOST_TEST(config.rope_theta == 10000.0);
    BOOST_TEST(!config.tie_word_embeddings);
    BOOST_TEST(config.bos_token_id == 1);
    BOOST_TEST(config.eos_token_ids == std::vector<TokenId>{2});
    BOOST_TEST(!config.default_temperature.has_value());
    BOOST_TEST(!config.default_top_p.has_value());
    BOOST_TEST(config.num_parameters() == 10'731'524'096);
    BOOST_TEST(config.kv_bytes_per_token() == 196'608U);
}

BOOST_AUTO_TEST_CASE(reads_the_demonstration_model) {
    const auto config = load_model_config(std::filesystem::path(SOLARD_SOURCE_DIR) / "config/demo-model");
    BOOST_TEST(loaded(config).max_position_embeddings == 4096);
}

BOOST_AUTO_TEST_CASE(tied_embeddings_count_once) {
    const ModelConfig config = loaded(load_with("tie_word_embeddings", true));
    BOOST_TEST(config.tie_word_embeddings);
    BOOST_TEST(config.num_parameters() == 10'731'524'096 - 32000LL * 4096);
}

BOOST_AUTO_TEST_CASE(number_of_kv_heads_defaults_to_number_of_heads) {
    BOOST_TEST(loaded(load_without("num_key_value_heads")).num_kv_heads == 32);
    BOOST_TEST(loaded(load_with("num_key_value_heads", nullptr)).num_kv_heads == 32);
}

BOOST_AUTO_TEST_CASE(head_dim_overrides_the_computed_size) {
    BOOST_TEST(loaded(load_with("head_dim", 64)).head_dim == 64);
    BOOST_TEST(loaded(load_with("head_dim", nullptr)).head_dim == 128);
}

BOOST_AUTO_TEST_CASE(rope_theta_is_read_from_either_key) {
    BOOST_TEST(loaded(load_without("rope_theta")).rope_theta == 10000.0);
    BOOST_TEST(loaded(load_with("rope_theta", 500000)).rope_theta == 500000.0);
    json::object config = solar_config();
    config.erase("rope_theta");
    config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 20000.0}};
    BOOST_TEST(loaded(load(config)).rope_theta == 20000.0);
}

BOOST_AUTO_TEST_CASE(other_rope_kinds_are_refused) {
    check_refused(load_with("rope_scaling", {{"type", "linear"}, {"factor", 2.0}}),
                  {"config.json", "rope_scaling", "linear"});
    check_refused(load_with("rope_parameters", {{"rope_type", "llama3"}, {"rope_theta", 1e4}}),
                  {"config.json", "rope_parameters", "default"});
    check_refused(load_with("rope_parameters", {{"rope_type", "default"}, {"factor", 8.0}}),
                  {"rope_parameters", "factor"});
    check_refused(load_with("rope_parameters", {{"rope_type", "default"}, {"rope_theta", -1}}),
                  {"rope_theta", "-1"});
    check_refused(load_with("rope_parameters", "default"), {"rope_parameters"});
}

BOOST_AUTO_TEST_CASE(other_architectures_are_refused_by_name) {
    check_refused(load_with("architectures", {"MistralForCausalLM"}),
                  {"config.json", "architectures", "MistralForCausalLM", "LlamaForCausalLM"});
    check_refused(load_with("model_type", "mistral"), {"model_type", "mistral", "llama"});
    check_refused(load_without("architectures"), {"architectures", "missing"});
    check_refused(load_without("model_type"), {"model_type", "missing"});
    check_refused(load_with("hidden_act", "gelu"), {"hidden_act", "gelu", "silu"});
    check_refused(load_with("sliding_window", 4096), {"sliding_window", "4096"});
    check_refused(load_with("attention_bias", true), {"attention_bias", "true"});
    check_refused(load_with("mlp_bias", true), {"mlp_bias", "true"});
    check_refused(load_with("mlp_bias", 0), {"mlp_bias"});
    check_refused(load_with("quantization_config", {{"quant_method", "gptq"}}), {"quantization_config"});
    require_accepted(load_with("sliding_window", nullptr));
    require_accepted(load_with("mlp_bias", false));
    require_accepted(load_without("hidden_act"));
}

BOOST_AUTO_TEST_CASE(every_size_must_be_present_and_a_positive_bounded_integer) {
    for (const std::string_view key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                                       "num_attention_heads", "max_position_embeddings"}) {
        check_refused(load_without(key), {"config.json", key, "missing"});
        for (const json::value& wrong :
             {json::value(0), json::value(-1), json::value(16.0), json::value("16"), json::value(true),
              json::value(std::int64_t{1} << 31), json::value((std::int64_t{1} << 32) + 16),
              json::value(std::numeric_limits<std::uint64_t>::max()), json::value(json::array{16})}) {
            check_refused(load_with(key, wrong), {"config.json", key, json::serialize(wrong)});
        }
    }
}

BOOST_AUTO_TEST_CASE(numbers_and_sizes_of_heads_must_be_consistent) {
    check_refused(load_with("num_key_value_heads", 5), {"num_key_value_heads", "5", "32"});
    check_refused(load_with("num_key_value_heads", 64), {"num_key_value_heads", "64", "32"});
    check_refused(load_with("num_key_value_heads", 0), {"num_key_value_heads"});
    check_refused(load_with("hidden_size", 4100), {"hidden_size", "4100", "32"});
    check_refused(load_with("hidden_size", 96), {"hidden_size", "96", "even"});
    check_refused(load_with("hidden_size", 32 * 1024), {"hidden_size", "head size"});
    check_refused(load_with("head_dim", 63), {"head_dim", "63", "even"});
    check_refused(load_with("head_dim", 1024), {"head_dim", "1024"});
    check_refused(load_with("head_dim", 0), {"head_dim"});
}

BOOST_AUTO_TEST_CASE(real_numbers_must_be_in_range) {
    check_refused(load_without("rms_norm_eps"), {"rms_norm_eps", "missing"});
    check_refused(load_with("rms_norm_eps", 0.0), {"rms_norm_eps"});
    check_refused(load_with("rms_norm_eps", 1e-60), {"rms_norm_eps"});  // this value is zero as a float
    check_refused(load_with("rms_norm_eps", 2), {"rms_norm_eps"});
    check_refused(load_with("rms_norm_eps", "1e-5"), {"rms_norm_eps"});
    check_refused(load_with("rope_theta", 0), {"rope_theta"});
    check_refused(load_with("rope_theta", -10000.0), {"rope_theta"});
    check_refused(load_with("rope_theta", 1e300), {"rope_theta"});
    check_refused(load_with("tie_word_embeddings", 1), {"tie_word_embeddings"});
}

BOOST_AUTO_TEST_CASE(eos_token_id_is_one_id_or_a_list_within_the_vocabulary) {
    BOOST_TEST(loaded(load_with("eos_token_id", {2, 31999})).eos_token_ids ==
               (std::vector<TokenId>{2, 31999}));
    check_refused(load_without("eos_token_id"), {"config.json", "eos_token_id", "missing"});
    for (const json::value& wrong : {json::value(32000), json::value(-1), json::value(2.0), json::value("2"),
                                     json::value(json::array{}), json::value(json::array{2, "3"})}) {
        check_refused(load_with("eos_token_id", wrong), {"config.json", "eos_token_id"});
    }
    check_refused(load_with("bos_token_id", 32000), {"bos_token_id", "32000"});
}

BOOST_AUTO_TEST_CASE(generation_config_overrides_config) {
    const ModelConfig config = loaded(load(
        solar_config(), R"({"eos_token_id": [7, 9], "temperature": 0.6, "top_p": 0.9, "do_sample": true})"));
    BOOST_TEST(config.eos_token_ids == (std::vector<TokenId>{7, 9}));
    BOOST_TEST(config.default_temperature.value() == 0.6);
    BOOST_TEST(config.default_top_p.value() == 0.9);

    const ModelConfig silent = loaded(load(solar_config(), R"({"temperature": null})"));
    BOOST_TEST(silent.eos_token_ids == std::vector<TokenId>{2});
    BOOST_TEST(!silent.default_temperature.has_value());

    json::object without_end = solar_config();
    without_end.erase("eos_token_id");
    BOOST_TEST(loaded(load(without_end, R"({"eos_token_id": 5})")).eos_token_ids == std::vector<TokenId>{5});
}

BOOST_AUTO_TEST_CASE(generation_config_is_checked_like_config) {
    for (const char* wrong :
         {R"({"temperature": 2.01})", R"({"temperature": -0.1})", R"({"temperature": "1"})",
          R"({"top_p": 0})", R"({"top_p": 1.01})", R"({"eos_token_id": 32000})", "[]", "{"}) {
        check_refused(load(solar_config(), wrong), {"generation_config.json"});
    }
    require_accepted(load(solar_config(), R"({"temperature": 0, "top_p": 1})"));
    require_accepted(load(solar_config(), R"({"temperature": 2})"));
}

BOOST_AUTO_TEST_CASE(config_that_is_not_one_json_object_is_refused) {
    const ModelFolder folder;
    check_refused(load_model_config(folder.path() / "nowhere"), {"nowhere", "folder"});
    check_refused(load_model_config(folder.path()), {"config.json", "No such file"});
    for (const std::string& text :
         {std::string(), std::string("{"), std::string("[1]"), std::string("{} {}"),
          std::string("{\"a\": 1,}"), std::string("{\"a\": NaN}"), std::string("{\"a\": \"\xFF\"}"),
          std::string(3, '\0'), std::string(1000, '[') + std::string(1000, ']')}) {
        folder.write_text("config.json", text);
        check_refused(load_model_config(folder.path()), {"config.json", "expected"});
    }
    folder.write_text("config.json", R"({"model_type": "llama", "x": {"k": 1, "\u006b": 2}})");
    check_refused(load_model_config(folder.path()), {"config.json", "\"k\"", "twice"});
    folder.write_text("config.json", "{}" + std::string(std::size_t{17} << 20, ' '));
    check_refused(load_model_config(folder.path()), {"config.json", "bytes", "at most"});
    std::filesystem::remove(folder.path() / "config.json");
    std::filesystem::create_directory(folder.path() / "config.json");
    check_refused(load_model_config(folder.path()), {"config.json", "regular file"});
}

BOOST_AUTO_TEST_CASE(dtypes_have_sizes_and_names) {
    BOOST_TEST(size_of(DType::bf16) == 2U);
    BOOST_TEST(size_of(DType::fp16) == 2U);
    BOOST_TEST(size_of(DType::fp32) == 4U);
    BOOST_TEST(name_of(DType::bf16) == "bf16");
    BOOST_TEST(name_of(DType::fp16) == "fp16");
    BOOST_TEST(name_of(DType::fp32) == "fp32");
}

BOOST_AUTO_TEST_CASE(file_that_is_not_json_is_refused_with_the_place) {
    const ModelFolder folder;
    folder.write_text("config.json", "{\n  \"hidden_size\": NaN\n}");
    check_refused(load_model_config(folder.path()),
                  {"config.json: is not valid JSON at line 2, column 18", "found 'NaN'"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
