// Items, slices and iteration of values.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "inference/template/runtime.hpp"
#include "inference/template/value.hpp"

namespace solard::jinja {

// Throws the Failure of a value that is used although it does not exist.
[[noreturn]] void fail_undefined(const Undefined& undefined);

// Returns the value of a key, or a null pointer. Throws a Failure if the key cannot be one.
const Value* find_entry(Runtime& runtime, const Dict& dict, const Value& key);
const Value* find_entry(Runtime& runtime, const Dict& dict, std::string_view key);
// Adds an entry, or replaces the value of an equal key.
void put_entry(Runtime& runtime, Dict& dict, const Value& key, const Value& value);

// Returns the item with an index, which may count from the end, or no value.
std::optional<Value> item_by_index(Runtime& runtime, const Value& object, const Value& key);
// Returns true for the types whose values can be keys of a dictionary.
bool may_be_key(const Value& value);

// Returns object[start:stop:step]. A part that is none counts as absent.
Value slice_of(Runtime& runtime, const Value& object, const Value& start, const Value& stop,
               const Value& step);

// Returns what a loop over the value reads: items, keys or characters. Takes the items of a generator. The
// reference is valid until the rendering ends. Throws a Failure if the value cannot be iterated.
const std::vector<Value>& items_of(Runtime& runtime, const Value& value);
bool is_iterable(const Value& value);
// Returns the number of items or characters, or no value for what has no length.
std::optional<std::size_t> length_of(Runtime& runtime, const Value& value);

}  // namespace solard::jinja
