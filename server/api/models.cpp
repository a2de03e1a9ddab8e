#include "server/api/models.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "server/generation/served_model.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

json::object model_object(const ServedModel& model, std::string_view name) {
    return {{"id", name},
            {"object", "model"},
            {"created", model.created},
            {"owned_by", "solard"},
            {"root", model.names.front()},
            {"parent", nullptr},
            {"max_model_len", model.context_length}};
}

}  // namespace

std::string models_json(const ServedModel& model) {
    json::array data;
    for (const auto& name : model.names) data.push_back(model_object(model, name));
    return json::serialize(json::object{{"object", "list"}, {"data", std::move(data)}});
}

std::string model_json(const ServedModel& model, std::string_view name) {
    return json::serialize(model_object(model, name));
}

}  // namespace solard::server
