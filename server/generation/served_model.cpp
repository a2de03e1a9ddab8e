#include "server/generation/served_model.hpp"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "server/generation/context_length.hpp"

namespace solard::server {
namespace {

// Returns true if the model has the sizes of SOLAR-10.7B.
bool has_solar_shape(const ModelConfig& c) {
    return c.num_layers == 48 && c.hidden_size == 4096 && c.intermediate_size == 14336 && c.num_heads == 32 &&
           c.num_kv_heads == 8 && c.vocab_size == 32000;
}

std::vector<std::string> read_examples(const std::filesystem::path& folder) {
    std::ifstream file(folder / "families.json");
    std::ostringstream text;
    text << file.rdbuf();
    boost::json::error_code ec;
    const auto families = boost::json::parse(text.str(), ec);
    std::vector<std::string> examples;
    if (ec || !families.is_array()) return examples;
    for (const auto& family : families.get_array()) {
        const auto* object = family.if_object();
        const auto* promised = object != nullptr ? object->if_contains("promised") : nullptr;
        const auto* example = object != nullptr ? object->if_contains("example") : nullptr;
        const auto* prompt = example != nullptr && example->is_object()
                                 ? example->get_object().if_contains("prompt")
                                 : nullptr;
        if (promised != nullptr && promised->is_bool() && promised->get_bool() && prompt != nullptr &&
            prompt->is_string())
            examples.emplace_back(prompt->get_string());
    }
    return examples;
}

}  // namespace

bool ServedModel::answers_to(std::string_view name) const {
    return name.empty() || std::ranges::find(names, name) != names.end();
}

std::int32_t ServedModel::token_bound(const GenerationFields& fields) const {
    const std::int32_t own = config.generation.max_new_tokens.value_or(max_token_count);
    return fields.max_tokens.value_or(std::max(own, fields.sampling.min_tokens));
}

result<ServedModel> describe_model(const AppConfig& config, ModelConfig model_config,
                                   ChatTemplate chat_template) {
    const auto context_length = choose_context_length(config.max_model_len, model_config);
    if (!context_length) return context_length.error();
    ServedModel model;
    const std::filesystem::path folder = std::filesystem::weakly_canonical(config.model);
    model.names = config.served_model_name;
    if (model.names.empty()) {
        const std::string name = folder.filename().string();
        if (name == "demo-model") {
            model.names = {"solard-demo"};
        } else {
            model.names = {has_solar_shape(model_config) ? "upstage/solar-10.7b-instruct" : name};
        }
    }
    model.context_length = *context_length;
    model.created =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    model.examples = read_examples(folder);
    model.config = std::move(model_config);
    model.chat_template = chat_template;
    return model;
}

}  // namespace solard::server
