// The operators of expressions, as in Python.
#pragma once

#include <vector>

#include "inference/template/runtime.hpp"
#include "inference/template/syntax.hpp"
#include "inference/template/value.hpp"

namespace solard::jinja {

bool is_true(const Value& value);
bool is_equal(Runtime& runtime, const Value& a, const Value& b);
// Returns a negative number, zero or a positive number. Throws a Failure if the types have no order.
int compare_order(Runtime& runtime, const Value& a, const Value& b);
bool compare(Runtime& runtime, Comparison comparison, const Value& a, const Value& b);
// Returns whether `item` is in the list, among the keys, or a part of the text.
bool contains(Runtime& runtime, const Value& container, const Value& item);
Value apply(Runtime& runtime, Operator op, const Value& a, const Value& b);
Value negate(const Value& value, bool is_minus);
// Returns the joined texts of the values.
Value concat(Runtime& runtime, const std::vector<Value>& parts);

}  // namespace solard::jinja
