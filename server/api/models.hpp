// Bodies of /v1/models.
#pragma once

#include <string>
#include <string_view>

namespace solard::server {

struct ServedModel;

// The main name first with root == id, so that ChatNVIDIA takes it; others carry root = the main name.
std::string models_json(const ServedModel& model);
// `name` is one of the served names.
std::string model_json(const ServedModel& model, std::string_view name);

}  // namespace solard::server
