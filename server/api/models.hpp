// Bodies of /v1/models.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace solard::server {

// The members which are the same for every name of the served model.
struct ListedModel {
    std::string_view main_name;
    std::int64_t created = 0;         // Unix seconds
    std::int32_t context_length = 0;  // tokens
};

// Returns the list of all served names. The main name comes first with root == id, because ChatNVIDIA
// requires this. For every other name, `root` is the main name.
std::string models_json(std::span<const std::string> names, const ListedModel& model);
// Returns the entry of one of the served names.
std::string model_json(std::string_view name, const ListedModel& model);

}  // namespace solard::server
