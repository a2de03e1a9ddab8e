#include "inference/template/tests.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "inference/template/access.hpp"
#include "inference/template/arguments.hpp"
#include "inference/template/convert.hpp"
#include "inference/template/filters.hpp"
#include "inference/template/operators.hpp"
#include "inference/template/text_operations.hpp"

namespace solard::jinja {
namespace {

struct TestRow {
    std::string_view name;
    bool (*apply)(Runtime&, const Value&, const Arguments&);
};

template <bool (*test)(const Value&)>
bool simple(Runtime&, const Value& value, const Arguments& arguments) {
    const BoundArguments bound("is", arguments, {});
    return test(value);
}

template <Comparison comparison>
bool comparing(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const BoundArguments bound("is", arguments, {"other"}, 1);
    return compare(runtime, comparison, value, bound.at(0));
}

template <std::int64_t rest>
bool parity(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const BoundArguments bound("is", arguments, {});
    return is_equal(runtime, apply(runtime, Operator::modulo, value, std::int64_t{2}), rest);
}

bool divisible_by(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const BoundArguments bound("divisibleby", arguments, {"num"}, 1);
    return is_equal(runtime, apply(runtime, Operator::modulo, value, bound.at(0)), std::int64_t{0});
}

template <bool upper>
bool cased(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const BoundArguments bound("is", arguments, {});
    return has_case(runtime, to_text(runtime, value), upper);
}

// Whether two values are one object: the same constant, or the same list, dictionary or text.
bool same_as(Runtime&, const Value& value, const Arguments& arguments) {
    const BoundArguments bound("sameas", arguments, {"other"}, 1);
    return value == bound.at(0);
}

bool is_filter_name(Runtime&, const Value& value, const Arguments& arguments) {
    const BoundArguments bound("filter", arguments, {});
    return as_text(value) != nullptr && is_filter(as_text(value)->bytes());
}

bool is_defined(const Value& value) {
    return !is_undefined(value);
}
bool is_boolean(const Value& value) {
    return as<bool>(value) != nullptr;
}
bool is_constant_true(const Value& value) {
    return as<bool>(value) != nullptr && *as<bool>(value);
}
bool is_constant_false(const Value& value) {
    return as<bool>(value) != nullptr && !*as<bool>(value);
}
bool is_integer(const Value& value) {
    return as<std::int64_t>(value) != nullptr;
}
bool is_float(const Value& value) {
    return as<double>(value) != nullptr;
}
bool is_number(const Value& value) {
    return as_number(value).has_value();
}
bool is_string(const Value& value) {
    return as_text(value) != nullptr;
}
bool is_mapping(const Value& value) {
    return as_dict(value) != nullptr;
}
bool is_sequence(const Value& value) {
    const auto* list = as_list(value);
    return is_undefined(value) || is_string(value) || is_mapping(value) ||
           (list != nullptr && list->has_indexes());
}
bool is_callable(const Value& value) {
    // In Jinja an undefined value can be called too, but fails then.
    return as<const Callable*>(value) != nullptr || is_undefined(value);
}

constexpr auto rows = std::to_array<TestRow>({
    {"boolean", simple<is_boolean>},
    {"callable", simple<is_callable>},
    {"defined", simple<is_defined>},
    {"divisibleby", divisible_by},
    {"eq", comparing<Comparison::equal>},
    {"equalto", comparing<Comparison::equal>},
    {"==", comparing<Comparison::equal>},
    {"even", parity<0>},
    {"false", simple<is_constant_false>},
    {"filter", is_filter_name},
    {"float", simple<is_float>},
    {"ge", comparing<Comparison::greater_equal>},
    {">=", comparing<Comparison::greater_equal>},
    {"greaterthan", comparing<Comparison::greater>},
    {"gt", comparing<Comparison::greater>},
    {">", comparing<Comparison::greater>},
    {"in", comparing<Comparison::in>},
    {"integer", simple<is_integer>},
    {"iterable", simple<is_iterable>},
    {"le", comparing<Comparison::less_equal>},
    {"<=", comparing<Comparison::less_equal>},
    {"lessthan", comparing<Comparison::less>},
    {"lower", cased<false>},
    {"lt", comparing<Comparison::less>},
    {"<", comparing<Comparison::less>},
    {"mapping", simple<is_mapping>},
    {"ne", comparing<Comparison::not_equal>},
    {"!=", comparing<Comparison::not_equal>},
    {"none", simple<is_none>},
    {"number", simple<is_number>},
    {"odd", parity<1>},
    {"sameas", same_as},
    {"sequence", simple<is_sequence>},
    {"string", simple<is_string>},
    {"true", simple<is_constant_true>},
    {"undefined", simple<is_undefined>},
    {"upper", cased<true>},
});

}  // namespace

bool apply_test(Runtime& runtime, std::string_view name, const Value& value, const Arguments& arguments) {
    const auto row = std::ranges::find(rows, name, &TestRow::name);
    if (row == rows.end()) fail("the test '" + std::string(name) + "' is not supported");
    runtime.step();
    return row->apply(runtime, value, arguments);
}

}  // namespace solard::jinja
