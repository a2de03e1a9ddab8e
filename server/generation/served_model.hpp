// What is served, as clients see it: names, context, defaults.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "inference/model/config.hpp"
#include "server/config/app_config.hpp"

namespace solard::server {

struct ServedModel {
    std::vector<std::string> names;  // the first is the main one
    ModelConfig config;
    std::int32_t context_length = 0;    // tokens
    std::int64_t created = 0;           // Unix seconds
    std::vector<std::string> examples;  // prompts the page offers

    bool answers_to(std::string_view name) const;
};

// Names by --served-model-name, else by the folder; examples from the folder's
// families.json.
ServedModel describe_model(const AppConfig& config, ModelConfig model_config);

}  // namespace solard::server
