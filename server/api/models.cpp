#include "server/api/models.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace solard::server {
namespace {

namespace json = boost::json;

json::object model_object(std::string_view name, const ListedModel& model) {
    return {{"id", name},
            {"object", "model"},
            {"created", model.created},
            {"owned_by", "solard"},
            {"root", model.main_name},
            {"parent", nullptr},
            {"max_model_len", model.context_length}};
}

}  // namespace

std::string models_json(std::span<const std::string> names, const ListedModel& model) {
    json::array data;
    for (const auto& name : names) data.push_back(model_object(name, model));
    return json::serialize(json::object{{"object", "list"}, {"data", std::move(data)}});
}

std::string model_json(std::string_view name, const ListedModel& model) {
    return json::serialize(model_object(name, model));
}

}  // namespace solard::server
