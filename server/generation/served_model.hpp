// The served model as clients see it: names, context, prompt form, defaults.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "inference/model/chat_template.hpp"
#include "inference/model/config.hpp"
#include "server/api/generation_fields.hpp"
#include "server/config/app_config.hpp"
#include "server/config/error.hpp"

namespace solard::server {

struct ServedModel {
    std::vector<std::string> names;  // the first is the main name
    ModelConfig config;
    ChatTemplate chat_template = ChatTemplate::solar();
    std::int32_t context_length = 0;    // tokens
    std::int64_t created = 0;           // Unix seconds
    std::vector<std::string> examples;  // prompts that the web page offers

    // Returns true for each of the names, and for an empty name.
    bool answers_to(std::string_view name) const;
    // Returns the upper bound for the tokens of an answer: the one that the request asks for, or else the
    // model's own, which is raised to the request's min_tokens. max_token_count stands for no bound.
    std::int32_t token_bound(const GenerationFields& fields) const;
};

// Describes the model in the folder config.model. --served-model-name sets its names. Without this option, a
// folder with SOLAR's configuration and SOLAR's own chat template has SOLAR's public name; a folder in the
// cache of Hugging Face has the name under which it was published, and any other one has the name of the
// folder. The examples come from the folder's families.json, if this file exists. Errors: those of
// choose_context_length().
result<ServedModel> describe_model(const AppConfig& config, ModelConfig model_config,
                                   ChatTemplate chat_template);

}  // namespace solard::server
