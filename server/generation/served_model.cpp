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

// Returns true if the template writes a conversation as SOLAR's own template does.
bool writes_like_solar(const ChatTemplate& chat_template) {
    const std::vector<ChatMessage> conversation{
        {Role::system, "s"}, {Role::user, "u"}, {Role::assistant, "a"}, {Role::user, "v"}};
    const auto text = chat_template.render(conversation);
    return text && text->bytes() == ChatTemplate::solar().render(conversation).value().bytes();
}

// Returns ORG/NAME for the folder .../models--ORG--NAME/snapshots/HASH of Hugging Face's cache, and the last
// part of any other path.
std::string name_of_folder(const std::filesystem::path& folder) {
    constexpr std::string_view prefix = "models--";
    constexpr std::string_view separator = "--";
    const std::filesystem::path snapshots = folder.parent_path();
    std::string name = snapshots.parent_path().filename().string();
    if (snapshots.filename() != "snapshots" || !name.starts_with(prefix)) return folder.filename().string();
    name.erase(0, prefix.size());
    if (const auto at = name.find(separator); at != std::string::npos)
        name.replace(at, separator.size(), "/");
    return name;
}

// A template of --chat-template says nothing about the folder, so SOLAR's name needs the folder's own.
std::string choose_name(const std::filesystem::path& folder, const AppConfig& config,
                        const ModelConfig& model_config, const ChatTemplate& chat_template) {
    if (folder.filename() == "demo-model") return "solard-demo";
    if (has_solar_shape(model_config) && config.chat_template.empty() && writes_like_solar(chat_template))
        return "upstage/solar-10.7b-instruct";
    return name_of_folder(folder);
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
    if (model.names.empty()) model.names = {choose_name(folder, config, model_config, chat_template)};
    model.context_length = *context_length;
    model.created =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    model.examples = read_examples(folder);
    model.config = std::move(model_config);
    model.chat_template = std::move(chat_template);
    return model;
}

}  // namespace solard::server
