#include "inference/model/generation_config.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <cmath>
#include <limits>

#include "inference/model/config_reader.hpp"
#include "inference/model/json_file.hpp"

namespace solard {
namespace {

namespace json = boost::json;

constexpr std::int32_t max_int32 = std::numeric_limits<std::int32_t>::max();

// The settings which are honoured, and those which change no answer: notes on the file, special tokens that
// generation does not use, and how transformers computes and returns its results.
constexpr auto known_keys = std::to_array<std::string_view>({
    "temperature",
    "top_p",
    "min_p",
    "top_k",
    "repetition_penalty",
    "max_new_tokens",
    "eos_token_id",
    "_commit_hash",
    "_from_model_config",
    "_name_or_path",
    "assistant_confidence_threshold",
    "assistant_early_exit",
    "assistant_lookbehind",
    "bos_token_id",
    "cache_config",
    "cache_implementation",
    "compile_config",
    "decoder_start_token_id",
    "disable_compile",
    "is_assistant",
    "max_matching_ngram_size",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "output_attentions",
    "output_hidden_states",
    "output_logits",
    "output_scores",
    "pad_token_id",
    "prompt_lookup_num_tokens",
    "return_dict_in_generate",
    "return_legacy_cache",
    "target_lookbehind",
    "transformers_version",
    "use_cache",
});

// The values with which other settings change nothing.
const json::object& neutral_values() {
    static const json::object values = json::parse(R"({
        "bad_words_ids": [], "begin_suppress_tokens": [], "diversity_penalty": 0, "do_sample": true,
        "early_stopping": false, "encoder_no_repeat_ngram_size": 0, "encoder_repetition_penalty": 1,
        "epsilon_cutoff": 0, "eta_cutoff": 0, "guidance_scale": 1, "length_penalty": 1, "low_memory": false,
        "min_length": 0, "min_new_tokens": 0, "no_repeat_ngram_size": 0, "num_beam_groups": 1,
        "num_beams": 1, "num_return_sequences": 1, "remove_invalid_values": false,
        "renormalize_logits": false, "sequence_bias": {}, "stop_strings": [], "suppress_tokens": [],
        "token_healing": false, "typical_p": 1})")
                                           .as_object();
    return values;
}

// Compares numbers by their value: Boost.JSON holds 1 and 1.0 to be different.
bool equal(const json::value& a, const json::value& b) {
    if (a.is_number() && b.is_number()) return a.to_number<double>() == b.to_number<double>();
    return a == b;
}

void list_ignored_settings(const ConfigReader& fields, GenerationConfig& config) {
    for (const auto& [key, value] : fields.object()) {
        const std::string_view name(key);
        const json::value* neutral = neutral_values().if_contains(name);
        const bool known = std::ranges::find(known_keys, name) != known_keys.end();
        if (value.is_null() || known || (neutral != nullptr && equal(value, *neutral))) continue;
        config.ignored.push_back(std::string(name) + " " + shown(value));
    }
}

// Ids outside of the vocabulary can never be generated, so they are only listed. They are common in
// fine-tunes whose vocabulary was changed.
void read_eos_token_ids(ConfigReader& fields, std::int32_t vocab_size, GenerationConfig& config) {
    constexpr std::string_view key = "eos_token_id";
    const json::value* value = fields.find(key);
    if (value == nullptr) return;
    const json::array ids = value->is_array() ? value->get_array() : json::array{*value};
    for (const json::value& id : ids) {
        if (!id.is_int64() && !id.is_uint64()) return fields.refuse(key, "an integer or a list of integers");
        const auto integer = non_negative_integer(id);
        if (integer && *integer < vocab_size) {
            config.eos_token_ids.push_back(static_cast<TokenId>(*integer));
        } else {
            config.ignored.push_back("eos_token_id " + shown(id) + ", which is outside of the vocabulary");
        }
    }
}

}  // namespace

result<GenerationConfig> read_generation_config(const std::filesystem::path& file, std::int32_t vocab_size) {
    const auto object = read_json_file(file);
    if (!object) return object.error();
    ConfigReader fields(file, *object);
    GenerationConfig config;
    const auto number = [&](std::string_view key, double absent, auto in_range, std::string_view expected) {
        return fields.optional_number(key, in_range, expected).value_or(absent);
    };
    const auto up_to = [](double max) { return [max](double value) { return value >= 0 && value <= max; }; };
    const auto is_penalty = [](double value) { return value > 0 && value <= 2; };
    const auto is_count = [](double value) {
        return value == std::trunc(value) && value >= -1 && value <= max_int32;
    };
    config.temperature = number("temperature", config.temperature, up_to(2), "a number from 0 to 2");
    config.top_p = number("top_p", config.top_p, up_to(1), "a number from 0 to 1");
    config.min_p = number("min_p", config.min_p, up_to(1), "a number from 0 to 1");
    config.repetition_penalty =
        number("repetition_penalty", config.repetition_penalty, is_penalty, "a number above 0 and at most 2");
    const double top_k = number("top_k", config.top_k, is_count, "an integer from 0, or -1 for all tokens");
    config.top_k = std::max(static_cast<std::int32_t>(top_k), 0);
    config.max_new_tokens = fields.optional_integer("max_new_tokens", 1, max_int32);
    read_eos_token_ids(fields, vocab_size, config);
    list_ignored_settings(fields, config);
    if (const auto outcome = fields.outcome(); !outcome) return outcome.error();
    return config;
}

}  // namespace solard
