#include "inference/template/from_json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <limits>
#include <string>

namespace solard::jinja {

Value from_json(Runtime& runtime, const boost::json::value& json, Trust trust) {
    const Runtime::Level level(runtime);
    switch (json.kind()) {
        case boost::json::kind::null:
            return None{};
        case boost::json::kind::bool_:
            return json.get_bool();
        case boost::json::kind::int64:
            return json.get_int64();
        case boost::json::kind::uint64:
            if (json.get_uint64() > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
                fail("a number of the request is outside of 64 bits");
            return static_cast<std::int64_t>(json.get_uint64());
        case boost::json::kind::double_:
            return json.get_double();
        case boost::json::kind::string:
            return runtime.text(MarkedText(std::string(json.get_string()), trust));
        case boost::json::kind::array: {
            std::vector<Value> items;
            items.reserve(json.get_array().size());
            for (const auto& item : json.get_array()) items.push_back(from_json(runtime, item, trust));
            return runtime.list(std::move(items));
        }
        case boost::json::kind::object:
            break;
    }
    std::vector<std::pair<Value, Value>> entries;
    entries.reserve(json.get_object().size());
    for (const auto& [key, value] : json.get_object()) {
        const Value name = runtime.text(MarkedText(std::string(key), trust));
        entries.emplace_back(name, from_json(runtime, value, trust));
    }
    return runtime.dict(std::move(entries));
}

}  // namespace solard::jinja
