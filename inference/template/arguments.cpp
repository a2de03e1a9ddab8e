#include "inference/template/arguments.hpp"

#include <algorithm>

#include "inference/template/convert.hpp"
#include "inference/template/operators.hpp"

namespace solard::jinja {

BoundArguments::BoundArguments(std::string_view function, const Arguments& arguments,
                               std::initializer_list<std::string_view> names, std::size_t num_required)
    : function_(function), names_(names), values_(names.size(), nullptr) {
    const std::string called(function);
    if (arguments.positional.size() > names_.size())
        fail("'" + called + "' takes at most " + std::to_string(names_.size()) + " arguments");
    for (std::size_t i = 0; i < arguments.positional.size(); ++i) values_[i] = &arguments.positional[i];
    for (const auto& [name, value] : arguments.named) {
        const auto found = std::ranges::find(names_, name);
        if (found == names_.end()) fail("'" + called + "' has no argument '" + std::string(name) + "'");
        const auto i = static_cast<std::size_t>(found - names_.begin());
        if (values_[i] != nullptr)
            fail("'" + called + "' has the argument '" + std::string(name) + "' twice");
        values_[i] = &value;
    }
    for (std::size_t i = 0; i < num_required; ++i) {
        if (values_[i] == nullptr)
            fail("'" + called + "' needs the argument '" + std::string(names_[i]) + "'");
    }
}

bool BoundArguments::flag(std::size_t i, bool absent) const {
    return values_[i] != nullptr ? is_true(*values_[i]) : absent;
}

const MarkedText* BoundArguments::text(std::size_t i) const {
    if (values_[i] == nullptr || is_none(*values_[i])) return nullptr;
    if (as_text(*values_[i]) == nullptr) fail_type(i, "a string");
    return as_text(*values_[i]);
}

std::optional<std::int64_t> BoundArguments::integer(std::size_t i) const {
    if (values_[i] == nullptr || is_none(*values_[i])) return std::nullopt;
    const auto number = as_integer(*values_[i]);
    if (!number) fail_type(i, "an integer");
    return number;
}

void BoundArguments::fail_type(std::size_t i, std::string_view expected) const {
    fail("the argument '" + std::string(names_[i]) + "' of '" + std::string(function_) + "' must be " +
         std::string(expected) + ", not " + std::string(type_name(*values_[i])));
}

}  // namespace solard::jinja
