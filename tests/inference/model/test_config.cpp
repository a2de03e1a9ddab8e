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
    BOOST_TEST((config.rope_scaling == RopeScaling{}));
    BOOST_TEST(!config.sliding_window.has_value());
    BOOST_TEST(config.generation.temperature == 1);
    BOOST_TEST(config.generation.top_p == 1);
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

const json::object linear{{"rope_type", "linear"}, {"factor", 2.5}};
// As published with Llama 3.1.
const json::object llama3{{"rope_type", "llama3"},
                          {"factor", 8.0},
                          {"low_freq_factor", 1.0},
                          {"high_freq_factor", 4.0},
                          {"original_max_position_embeddings", 8192}};

json::object with(json::object object, std::string_view key, const json::value& value) {
    object[key] = value;
    return object;
}

BOOST_AUTO_TEST_CASE(rope_scaling_is_read_in_both_spellings) {
    for (const std::string_view key : {"rope_scaling", "rope_parameters"}) {
        const RopeScaling scaling = loaded(load_with(key, llama3)).rope_scaling;
        BOOST_TEST((scaling.type == RopeScaling::Type::llama3));
        BOOST_TEST(scaling.factor == 8);
        BOOST_TEST(scaling.low_freq_factor == 1);
        BOOST_TEST(scaling.high_freq_factor == 4);
        BOOST_TEST(scaling.original_max_position_embeddings == 8192);
        BOOST_TEST((loaded(load_with(key, linear)).rope_scaling ==
                    RopeScaling{.type = RopeScaling::Type::linear, .factor = 2.5}));
        BOOST_TEST((loaded(load_with(key, {{"type", "dynamic"}, {"factor", 2}})).rope_scaling ==
                    RopeScaling{.type = RopeScaling::Type::dynamic, .factor = 2}));
        BOOST_TEST(loaded(load_with(key, with(linear, "rope_theta", 5e5))).rope_theta == 5e5);
    }
    // Versions 4 of transformers wrote "type" at first, later "rope_type", and some files have both.
    require_accepted(load_with("rope_scaling", {{"type", "linear"}, {"factor", 1}}));
    require_accepted(load_with("rope_scaling", with(linear, "type", "linear")));
    check_refused(load_with("rope_scaling", with(linear, "type", "dynamic")),
                  {"config.json", "rope_scaling.type is \"dynamic\"", "rope_type"});
}

BOOST_AUTO_TEST_CASE(both_spellings_together_must_say_the_same) {
    json::object config = solar_config();
    config["rope_scaling"] = llama3;
    config["rope_parameters"] = with(llama3, "rope_theta", 500000);
    BOOST_TEST(loaded(load(config)).rope_theta == 500000);
    config["rope_parameters"] = linear;
    check_refused(load(config), {"rope_scaling", "rope_parameters"});
    config["rope_parameters"] = json::object{{"rope_type", "default"}};
    check_refused(load(config), {"rope_scaling", "rope_parameters"});
    config["rope_parameters"] = json::object{};
    BOOST_TEST((loaded(load(config)).rope_scaling.type == RopeScaling::Type::llama3));
}

BOOST_AUTO_TEST_CASE(forms_of_plain_rope_are_accepted) {
    for (const json::value& plain :
         {json::value(nullptr), json::value(json::object{}),
          json::value{{"rope_type", "default"}, {"rope_theta", 10000}}, json::value{{"type", "default"}},
          json::value{{"rope_theta", 10000.0}, {"factor", nullptr}},
          json::value{{"rope_type", "default"},
                      {"partial_rotary_factor", 1.0},
                      {"original_max_position_embeddings", 4096}}}) {
        for (const std::string_view key : {"rope_scaling", "rope_parameters"})
            BOOST_TEST((loaded(load_with(key, plain)).rope_scaling == RopeScaling{}), plain);
    }
    require_accepted(load_with("partial_rotary_factor", 1.0));
    require_accepted(load_with("partial_rotary_factor", 1));
}

BOOST_AUTO_TEST_CASE(other_rope_kinds_are_refused_by_name) {
    for (const std::string_view kind : {"yarn", "longrope", "su", "ntk", "proportional"}) {
        check_refused(load_with("rope_scaling", {{"type", kind}, {"factor", 2.0}}),
                      {"config.json: rope_scaling.type", kind, "linear", "llama3", "dynamic"});
        check_refused(load_with("rope_parameters", {{"rope_type", kind}, {"factor", 2.0}}),
                      {"rope_parameters.rope_type", kind, "llama3"});
    }
    check_refused(load_with("rope_scaling", {{"type", 3}}), {"rope_scaling.type is 3"});
    check_refused(load_with("partial_rotary_factor", 0.5), {"partial_rotary_factor is 5E-1", "expected 1"});
    check_refused(load_with("rope_parameters", {{"partial_rotary_factor", 0.25}}),
                  {"rope_parameters.partial_rotary_factor"});
    check_refused(load_with("rope_parameters", "default"), {"rope_parameters", "default", "an object"});
    check_refused(load_with("rope_scaling", json::array{2}), {"rope_scaling", "an object"});
}

BOOST_AUTO_TEST_CASE(settings_of_rope_must_be_in_range_and_belong_to_the_type) {
    check_refused(load_with("rope_parameters", {{"rope_type", "default"}, {"factor", 8.0}}),
                  {"rope_parameters.factor is 8", "\"default\" has no such setting"});
    check_refused(load_with("rope_scaling", with(linear, "low_freq_factor", 1)),
                  {"low_freq_factor", "linear"});
    check_refused(load_with("rope_scaling", with(llama3, "beta_fast", 32)),
                  {"rope_scaling.beta_fast", "llama3"});
    check_refused(load_with("rope_parameters", {{"full_attention", llama3}}),
                  {"rope_parameters.full_attention"});
    check_refused(load_with("rope_parameters", {{"rope_type", "default"}, {"rope_theta", -1}}),
                  {"rope_parameters.rope_theta", "-1"});
    for (const json::value& factor :
         {json::value(0.99), json::value(-2), json::value("2"), json::value(1e7)}) {
        check_refused(load_with("rope_scaling", with(linear, "factor", factor)),
                      {"rope_scaling.factor", "1"});
        check_refused(load_with("rope_scaling", with(llama3, "factor", factor)),
                      {"rope_scaling.factor", "1"});
    }
    for (const std::string_view key :
         {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"})
        check_refused(load_with("rope_scaling", with(llama3, key, nullptr)),
                      {"rope_scaling.", key, "missing"});
    check_refused(load_with("rope_scaling", with(llama3, "low_freq_factor", 0)), {"low_freq_factor is 0"});
    check_refused(load_with("rope_scaling", with(llama3, "high_freq_factor", 1)),
                  {"high_freq_factor is 1", "above low_freq_factor"});
    check_refused(load_with("rope_scaling", with(llama3, "original_max_position_embeddings", 0)),
                  {"original_max_position_embeddings is 0"});
    json::object beside = solar_config();
    beside["rope_scaling"] = llama3;
    beside["original_max_position_embeddings"] = 8192;
    require_accepted(load(beside));
    beside["original_max_position_embeddings"] = 4096;
    check_refused(load(beside), {"config.json: original_max_position_embeddings is 4096", "8192"});
}

json::object mistral_config() {
    json::object config = solar_config();
    config["architectures"] = json::array{"MistralForCausalLM"};
    config["model_type"] = "mistral";
    config["sliding_window"] = nullptr;
    return config;
}

BOOST_AUTO_TEST_CASE(mistral_is_llama_with_a_sliding_window_that_may_be_off) {
    json::object config = mistral_config();
    BOOST_TEST(!loaded(load(config)).sliding_window.has_value());
    BOOST_TEST(loaded(load(config)).num_parameters() == 10'731'524'096);
    config["sliding_window"] = 1024;
    BOOST_TEST(loaded(load(config)).sliding_window.value() == 1024);
    config.erase("sliding_window");  // transformers then takes 4096
    BOOST_TEST(loaded(load(config)).sliding_window.value() == 4096);
    for (const json::value& wrong :
         {json::value(0), json::value(-1), json::value("4096"), json::value(true)}) {
        config["sliding_window"] = wrong;
        check_refused(load(config), {"sliding_window", json::serialize(wrong)});
    }
}

BOOST_AUTO_TEST_CASE(architecture_is_named_by_model_type_and_confirmed_by_architectures) {
    for (const json::object& config : {solar_config(), mistral_config()}) {
        for (const json::value& none : {json::value(nullptr), json::value(json::array{})})
            require_accepted(load(with(config, "architectures", none)));
        check_refused(load(with(config, "model_type", nullptr)),
                      {"model_type is missing", "llama", "mistral"});
        check_refused(load(with(config, "architectures", json::array{"LlamaForSequenceClassification"})),
                      {"architectures", "LlamaForSequenceClassification", "ForCausalLM\"]"});
    }
    require_accepted(load_without("architectures"));
    check_refused(load_with("architectures", {"MistralForCausalLM"}),
                  {"config.json", "architectures", "MistralForCausalLM", "LlamaForCausalLM"});
    check_refused(load_with("model_type", "mistral"), {"LlamaForCausalLM", "MistralForCausalLM"});
    check_refused(load_with("model_type", "qwen2"), {"model_type is \"qwen2\"", "\"llama\" or \"mistral\""});
}

BOOST_AUTO_TEST_CASE(other_arithmetic_is_refused_by_name) {
    check_refused(load_with("hidden_act", "gelu"), {"hidden_act", "gelu", "silu"});
    check_refused(load_with("sliding_window", 4096), {"sliding_window", "4096"});
    check_refused(load_with("attention_bias", true), {"attention_bias", "true"});
    check_refused(load_with("mlp_bias", true), {"mlp_bias", "true"});
    check_refused(load_with("mlp_bias", 0), {"mlp_bias"});
    check_refused(load_with("quantization_config", {{"quant_method", "gptq"}}), {"quantization_config"});
    check_refused(load_with("layer_types", json::array{"full_attention", "sliding_attention"}),
                  {"layer_types", "sliding_attention", "full_attention"});
    check_refused(load_with("layer_types", "full_attention"), {"layer_types"});
}

BOOST_AUTO_TEST_CASE(settings_that_mean_plain_llama_are_accepted) {
    require_accepted(load_with("sliding_window", nullptr));
    require_accepted(load_with("mlp_bias", false));
    require_accepted(load_without("hidden_act"));
    require_accepted(load_with("layer_types", json::array{"full_attention", "full_attention"}));
    require_accepted(load_with("layer_types", nullptr));
    require_accepted(load_with("pretraining_tp", 4));
    require_accepted(load_with("use_cache", true));
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

GenerationConfig generation(const char* text) {
    return loaded(load(solar_config(), text)).generation;
}

BOOST_AUTO_TEST_CASE(generation_config_names_the_ends_of_an_answer) {
    BOOST_TEST(loaded(load(solar_config(), R"({"eos_token_id": [7, 9]})")).eos_token_ids ==
               (std::vector<TokenId>{7, 9}));
    BOOST_TEST(loaded(load(solar_config(), R"({"temperature": null})")).eos_token_ids ==
               std::vector<TokenId>{2});

    json::object without_end = solar_config();
    without_end.erase("eos_token_id");
    BOOST_TEST(loaded(load(without_end, R"({"eos_token_id": 5})")).eos_token_ids == std::vector<TokenId>{5});
}

BOOST_AUTO_TEST_CASE(ends_outside_of_the_vocabulary_are_dropped_and_listed) {
    ModelConfig config = loaded(load(solar_config(), R"({"eos_token_id": [7, 32000, -1]})"));
    BOOST_TEST(config.eos_token_ids == std::vector<TokenId>{7});
    BOOST_TEST(config.generation.ignored ==
                   (std::vector<std::string>{"eos_token_id 32000, which is outside of the vocabulary",
                                             "eos_token_id -1, which is outside of the vocabulary"}),
               boost::test_tools::per_element());

    config = loaded(load(solar_config(), R"({"eos_token_id": 32000})"));
    BOOST_TEST(config.eos_token_ids == std::vector<TokenId>{2});  // of config.json
    BOOST_TEST(config.generation.ignored.size() == 1U);
}

BOOST_AUTO_TEST_CASE(generation_config_has_the_defaults_of_requests) {
    const GenerationConfig all = generation(
        R"({"temperature": 0.6, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "repetition_penalty": 1.1,
            "max_new_tokens": 256, "do_sample": true})");
    BOOST_TEST(all.temperature == 0.6);
    BOOST_TEST(all.top_p == 0.9);
    BOOST_TEST(all.top_k == 40);
    BOOST_TEST(all.min_p == 0.05);
    BOOST_TEST(all.repetition_penalty == 1.1);
    BOOST_TEST(all.max_new_tokens.value() == 256);
    BOOST_TEST(all.ignored.empty());

    const GenerationConfig none = generation(
        R"({"temperature": null, "top_p": null, "top_k": null, "min_p": null, "repetition_penalty": null})");
    BOOST_TEST(none.temperature == 1);
    BOOST_TEST(none.top_p == 1);
    BOOST_TEST(none.top_k == 0);
    BOOST_TEST(none.min_p == 0);
    BOOST_TEST(none.repetition_penalty == 1);
    BOOST_TEST(!none.max_new_tokens.has_value());

    const GenerationConfig edges =
        generation(R"({"temperature": 0, "top_p": 0, "top_k": -1, "min_p": 1, "repetition_penalty": 2})");
    BOOST_TEST(edges.temperature == 0);
    BOOST_TEST(edges.top_p == 0);
    BOOST_TEST(edges.top_k == 0);
    BOOST_TEST(edges.min_p == 1);
    BOOST_TEST(edges.repetition_penalty == 2);
    BOOST_TEST(generation(R"({"temperature": 2, "top_k": 50.0})").top_k == 50);
}

BOOST_AUTO_TEST_CASE(settings_of_generation_without_effect_are_listed) {
    BOOST_TEST(
        generation(R"({"num_beams": 4, "do_sample": false, "max_length": 4096, "made_up": "x"})").ignored ==
            (std::vector<std::string>{"num_beams 4", "do_sample false", "max_length 4096", "made_up \"x\""}),
        boost::test_tools::per_element());
    // With these values, the settings change nothing.
    BOOST_TEST(generation(R"({"_from_model_config": true, "bos_token_id": 1, "pad_token_id": 2,
                              "use_cache": false, "transformers_version": "4.44.2", "num_beams": 1,
                              "length_penalty": 1.0, "typical_p": 1, "no_repeat_ngram_size": 0,
                              "early_stopping": false, "forced_eos_token_id": null,
                              "bad_words_ids": []})")
                   .ignored.empty());
}

BOOST_AUTO_TEST_CASE(generation_config_is_checked_like_config) {
    for (const char* wrong :
         {R"({"temperature": 2.01})", R"({"temperature": -0.1})", R"({"temperature": "1"})",
          R"({"top_p": -0.01})", R"({"top_p": 1.01})", R"({"min_p": 1.01})", R"({"top_k": -2})",
          R"({"top_k": 1.5})", R"({"top_k": 2147483648})", R"({"repetition_penalty": 0})",
          R"({"repetition_penalty": 2.1})", R"({"max_new_tokens": 0})", R"({"eos_token_id": "2"})",
          R"({"eos_token_id": [2, 3.5]})", "[]", "{"}) {
        check_refused(load(solar_config(), wrong), {"generation_config.json"});
    }
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
