#include "inference/model/rope_config.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

namespace solard {
namespace {

constexpr double max_rope_theta = 1e12;
constexpr double max_factor = 1e6;
constexpr std::int32_t max_length = 1 << 24;

constexpr auto factor_key = std::to_array<std::string_view>({"factor"});
constexpr auto llama3_keys =
    std::to_array<std::string_view>({"factor", "low_freq_factor", "high_freq_factor"});

struct RopeType {
    std::string_view name;
    RopeScaling::Type type;
    std::span<const std::string_view> keys;  // settings that only some types have
};
constexpr std::array rope_types{
    RopeType{"default", RopeScaling::Type::none, {}},
    RopeType{"linear", RopeScaling::Type::linear, factor_key},
    RopeType{"dynamic", RopeScaling::Type::dynamic, factor_key},
    RopeType{"llama3", RopeScaling::Type::llama3, llama3_keys},
};
// Settings that every type may have. The original length has no effect on the types default and linear.
constexpr auto common_keys = std::to_array<std::string_view>(
    {"type", "rope_type", "rope_theta", "partial_rotary_factor", "original_max_position_embeddings"});

// Returns the type "default" if the object names none.
const RopeType& read_type(ConfigReader& fields) {
    const auto* type = fields.find("type");
    const auto* rope_type = fields.find("rope_type");
    if (type != nullptr && rope_type != nullptr && *type != *rope_type)
        fields.refuse("type", "the same as rope_type");
    const auto* named = rope_type != nullptr ? rope_type : type;
    if (named == nullptr) return rope_types.front();
    const auto found = std::ranges::find_if(
        rope_types, [&](const RopeType& row) { return *named == boost::json::value(row.name); });
    if (found != rope_types.end()) return *found;
    fields.refuse(rope_type != nullptr ? "rope_type" : "type",
                  R"("default", "linear", "llama3" or "dynamic" (other types are not supported))");
    return rope_types.front();
}

void refuse_other_keys(ConfigReader& fields, const RopeType& type) {
    for (const auto& [key, value] : fields.object()) {
        const auto has = [&](std::span<const std::string_view> keys) {
            return std::ranges::find(keys, std::string_view(key)) != keys.end();
        };
        if (value.is_null() || has(common_keys) || has(type.keys)) continue;
        fields.refuse(key, "null or absent, because RoPE of type \"" + std::string(type.name) +
                               "\" has no such setting");
    }
}

std::optional<double> read_theta(ConfigReader& fields) {
    return fields.optional_number(
        "rope_theta", [](double theta) { return static_cast<float>(theta) > 0 && theta <= max_rope_theta; },
        "a number above 0 and at most 1e12");
}

void check_partial_rotary_factor(ConfigReader& fields) {
    fields.optional_number(
        "partial_rotary_factor", [](double factor) { return factor == 1; },
        "1 (a partial rotation is not supported)");
}

void read_llama3(ConfigReader& fields, RopeScaling& scaling) {
    const auto is_factor = [](double value) { return value > 0 && value <= max_factor; };
    constexpr std::string_view expected = "a number above 0 and at most 1e6";
    scaling.low_freq_factor = fields.number("low_freq_factor", is_factor, expected);
    scaling.high_freq_factor = fields.number(
        "high_freq_factor", [&](double value) { return value > scaling.low_freq_factor && is_factor(value); },
        "a number above low_freq_factor and at most 1e6");
    if (scaling.original_max_position_embeddings == 0)
        fields.refuse("original_max_position_embeddings", "the context length of the training");
}

// What one object, rope_scaling or rope_parameters, says.
struct RopeObject {
    std::optional<double> theta;
    std::optional<RopeScaling> scaling;  // absent if the object is empty
};

RopeObject read_object(ConfigReader& fields) {
    if (fields.object().empty()) return {};
    const RopeType& type = read_type(fields);
    refuse_other_keys(fields, type);
    check_partial_rotary_factor(fields);
    RopeScaling scaling{.type = type.type};
    if (!type.keys.empty()) {
        scaling.factor = fields.number(
            "factor", [](double factor) { return factor >= 1 && factor <= max_factor; },
            "a number from 1 to 1e6");
        const auto original = fields.optional_integer("original_max_position_embeddings", 1, max_length);
        if (type.type != RopeScaling::Type::linear)
            scaling.original_max_position_embeddings = original.value_or(0);
    }
    if (type.type == RopeScaling::Type::llama3) read_llama3(fields, scaling);
    return {read_theta(fields), scaling};
}

// A few families write the original length beside the scaling instead of into it, and not every version of
// transformers reads it from there.
void check_original_length(ConfigReader& fields, const RopeScaling& scaling) {
    if (scaling.type != RopeScaling::Type::llama3) return;
    const auto beside = fields.optional_integer("original_max_position_embeddings", 1, max_length);
    if (beside && *beside != scaling.original_max_position_embeddings)
        fields.refuse("original_max_position_embeddings",
                      std::to_string(scaling.original_max_position_embeddings) + ", as in the RoPE scaling");
}

}  // namespace

RopeConfig read_rope_config(ConfigReader& fields) {
    check_partial_rotary_factor(fields);
    const auto theta = read_theta(fields);
    const RopeObject parameters = fields.nested("rope_parameters", read_object);
    const RopeObject scaling = fields.nested("rope_scaling", read_object);
    if (parameters.scaling && scaling.scaling && *parameters.scaling != *scaling.scaling)
        fields.refuse("rope_scaling", "the same scaling as in rope_parameters");
    RopeConfig config;
    const auto inner_theta = parameters.theta ? parameters.theta : scaling.theta;
    config.theta = inner_theta.value_or(theta.value_or(config.theta));
    config.scaling = parameters.scaling.value_or(scaling.scaling.value_or(config.scaling));
    check_original_length(fields, config.scaling);
    return config;
}

}  // namespace solard
