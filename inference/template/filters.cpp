#include "inference/template/filters.hpp"

#include <algorithm>
#include <string>

namespace solard::jinja {
namespace {

const FilterRow* find_filter(std::string_view name) {
    for (const auto rows : {text_filters(), sequence_filters()}) {
        const auto row = std::ranges::find(rows, name, &FilterRow::name);
        if (row != rows.end()) return &*row;
    }
    return nullptr;
}

}  // namespace

Value apply_filter(Runtime& runtime, std::string_view name, const Value& input, const Arguments& arguments) {
    const FilterRow* const filter = find_filter(name);
    if (filter == nullptr) fail("the filter '" + std::string(name) + "' is not supported");
    const Runtime::Level level(runtime);  // because `map` applies filters
    runtime.step();
    return filter->apply(runtime, input, arguments);
}

bool is_filter(std::string_view name) {
    return find_filter(name) != nullptr;
}

}  // namespace solard::jinja
