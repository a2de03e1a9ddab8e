// The members of values: object.name and object[key].
#pragma once

#include "inference/template/runtime.hpp"
#include "inference/template/value.hpp"

namespace solard::jinja {

// Returns object.name: a method or a property of the object, else its item `name`.
Value attribute_of(Runtime& runtime, const Value& object, const MarkedText& name);
// Returns object[key]: the item, else the method or the property with this name.
Value item_of(Runtime& runtime, const Value& object, const Value& key);

}  // namespace solard::jinja
