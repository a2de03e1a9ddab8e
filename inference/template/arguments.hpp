// Matches the arguments of a call with the names of parameters.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/template/runtime.hpp"
#include "inference/template/value.hpp"

namespace solard::jinja {

// The arguments of one call of a function, filter, test or method.
class BoundArguments {
  public:
    // `names` are the parameters in their order. Throws a Failure if there are too many arguments, if a name
    // is unknown, or if one of the first `num_required` arguments is missing.
    BoundArguments(std::string_view function, const Arguments& arguments,
                   std::initializer_list<std::string_view> names, std::size_t num_required = 0);

    // Each of these functions reads parameter `i`. find() returns a null pointer if the argument is absent.
    const Value* find(std::size_t i) const { return values_[i]; }
    const Value& at(std::size_t i) const { return *values_[i]; }  // must not be absent
    Value value_or(std::size_t i, const Value& absent) const { return values_[i] ? *values_[i] : absent; }
    bool flag(std::size_t i, bool absent = false) const;
    // The two functions below throw a Failure if the argument has another type; none counts as absent.
    const MarkedText* text(std::size_t i) const;
    std::optional<std::int64_t> integer(std::size_t i) const;

  private:
    [[noreturn]] void fail_type(std::size_t i, std::string_view expected) const;

    std::string_view function_;
    std::vector<std::string_view> names_;
    std::vector<const Value*> values_;
};

}  // namespace solard::jinja
