#include "inference/model/architecture.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <string>

namespace solard {
namespace {

namespace json = boost::json;

constexpr std::array architectures{
    Architecture{.model_type = "llama", .name = "LlamaForCausalLM"},
    // transformers takes a window of 4096 if the key is missing; null means none.
    Architecture{.model_type = "mistral", .name = "MistralForCausalLM", .default_sliding_window = 4096},
};

const Architecture& read_row(ConfigReader& fields) {
    const json::value* model_type = fields.find("model_type");
    const auto row = std::ranges::find_if(architectures, [&](const Architecture& each) {
        return model_type != nullptr && *model_type == json::value(each.model_type);
    });
    if (row != architectures.end()) return *row;
    std::string served;
    for (const Architecture& each : architectures) {
        if (!served.empty()) served += " or ";
        served.append("\"").append(each.model_type).append("\"");
    }
    fields.refuse("model_type", served + " (other architectures are not supported)");
    return architectures.front();
}

// A layer may name its kind of attention. "sliding_attention" and others are refused.
void check_layer_types(ConfigReader& fields) {
    const json::value* types = fields.find("layer_types");
    if (types == nullptr) return;
    const auto* list = types->if_array();
    if (list == nullptr ||
        !std::ranges::all_of(*list, [](const json::value& type) { return type == "full_attention"; }))
        fields.refuse("layer_types", "only \"full_attention\" (other kinds are not supported)");
}

}  // namespace

const Architecture& read_architecture(ConfigReader& fields) {
    const Architecture& row = read_row(fields);
    const json::value* names = fields.find("architectures");
    if (names != nullptr && *names != json::array{}) fields.require_equal("architectures", {row.name});
    if (fields.find("hidden_act") != nullptr) fields.require_equal("hidden_act", "silu");
    fields.require_false("attention_bias");
    fields.require_false("mlp_bias");
    check_layer_types(fields);
    if (row.default_sliding_window == 0) fields.require_absent("sliding_window");
    fields.require_absent("quantization_config");
    return row;
}

}  // namespace solard
