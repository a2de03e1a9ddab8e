// The served model as clients see it: names, context, prompt form, defaults.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "inference/model/chat_template.hpp"
#include "inference/model/config.hpp"
#include "server/config/app_config.hpp"

namespace solard::server {

struct ServedModel {
    std::vector<std::string> names;  // the first is the main one
    ModelConfig config;
    ChatTemplate chat_template = ChatTemplate::solar();
    std::int32_t context_length = 0;    // tokens
    std::int64_t created = 0;           // Unix seconds
    std::vector<std::string> examples;  // prompts that the page offers

    // Returns true for each of the names, and for an empty one.
    bool answers_to(std::string_view name) const;
};

// Describes the model of the folder config.model. Its names are those of --served-model-name, or else the
// folder decides; the examples come from the folder's families.json, if it has one.
ServedModel describe_model(const AppConfig& config, ModelConfig model_config, ChatTemplate chat_template);

}  // namespace solard::server
