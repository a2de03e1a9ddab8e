#include "inference/template/access.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "inference/template/characters.hpp"
#include "inference/template/convert.hpp"
#include "inference/text/utf8.hpp"

namespace solard::jinja {
namespace {

// Compares two keys that are numbers, booleans or none.
bool is_same_number(const Value& a, const Value& b) {
    if (is_none(a) || is_none(b)) return is_none(a) && is_none(b);
    const auto x = as_integer(a);
    const auto y = as_integer(b);
    return x && y ? *x == *y : as_number(a) == as_number(b);
}

// Returns the offset of the byte at which the character `index` begins; `index` may be the number of
// characters.
std::size_t offset_of(std::string_view text, std::size_t index) {
    std::size_t offset = 0;
    for (; index > 0; --index) offset += character_size(text[offset]);
    return offset;
}

// Returns the place of an index that may count from the end, or no value if there is no such item.
std::optional<std::size_t> place_of(const Value& key, std::size_t size) {
    const auto index = as_integer(key);
    const auto signed_size = static_cast<std::int64_t>(size);
    if (!index || *index >= signed_size || *index < -signed_size) return std::nullopt;
    return static_cast<std::size_t>(*index < 0 ? *index + signed_size : *index);
}

// One part of a slice, or no value if it is absent.
std::optional<std::int64_t> slice_part(const Value& value) {
    if (is_none(value)) return std::nullopt;
    const auto number = as_integer(value);
    if (!number) fail("the parts of a slice must be integers, not " + std::string(type_name(value)));
    return number;
}

// Returns the indexes of a slice of `size` items, in order.
std::vector<std::size_t> slice_indexes(std::size_t size, const Value& start_value, const Value& stop_value,
                                       const Value& step_value) {
    const auto count = static_cast<std::int64_t>(size);
    const std::int64_t step = slice_part(step_value).value_or(1);
    if (step == 0) fail("the step of a slice must not be zero");
    const std::int64_t first = step > 0 ? 0 : -1;
    const std::int64_t last = step > 0 ? count : count - 1;
    const auto clamp = [&](std::optional<std::int64_t> part, std::int64_t absent) {
        if (!part) return absent;
        return std::clamp(*part < 0 ? std::max(*part, -count - 1) + count : *part, first, last);
    };
    const std::int64_t start = clamp(slice_part(start_value), step > 0 ? first : last);
    const std::int64_t stop = clamp(slice_part(stop_value), step > 0 ? last : first);
    std::vector<std::size_t> indexes;
    std::int64_t i = start;
    while (step > 0 ? i < stop : i > stop) {
        indexes.push_back(static_cast<std::size_t>(i));
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    return indexes;
}

}  // namespace

void fail_undefined(const Undefined& undefined) {
    if (undefined.name.empty()) fail("an undefined value is used");
    fail("'" + std::string(undefined.name.substr(0, 64)) + "' is undefined");
}

bool may_be_key(const Value& value) {
    return as_text(value) != nullptr || as_number(value).has_value() || is_none(value);
}

const Value* find_entry(Runtime& runtime, const Dict& dict, const Value& key) {
    if (!may_be_key(key)) fail("a value of the type " + std::string(type_name(key)) + " cannot be a key");
    if (const auto* text = as_text(key)) return find_entry(runtime, dict, text->bytes());
    runtime.step(1 + dict.entries.size() / 8);
    for (const auto& [other, value] : dict.entries)
        if (as_text(other) == nullptr && is_same_number(other, key)) return &value;
    return nullptr;
}

const Value* find_entry(Runtime& runtime, const Dict& dict, std::string_view key) {
    runtime.step(1 + dict.entries.size() / 8);
    for (const auto& [other, value] : dict.entries) {
        const auto* text = as_text(other);
        if (text == nullptr || text->size() != key.size()) continue;
        runtime.copy(key.size());
        if (text->bytes() == key) return &value;
    }
    return nullptr;
}

void put_entry(Runtime& runtime, Dict& dict, const Value& key, const Value& value) {
    const Value* const found = find_entry(runtime, dict, key);
    for (auto& entry : dict.entries) {
        if (&entry.second == found) {
            entry.second = value;
            return;
        }
    }
    dict.entries.emplace_back(key, value);
}

std::optional<Value> item_by_index(Runtime& runtime, const Value& object, const Value& key) {
    if (const auto* text = as_text(object)) {
        runtime.scan(text->size());
        const auto place = place_of(key, count_characters(text->bytes()));
        if (!place) return std::nullopt;
        const std::size_t begin = offset_of(text->bytes(), *place);
        return runtime.text(text->part(begin, character_size(text->bytes()[begin])));
    }
    const auto* list = as_list(object);
    if (list == nullptr || !list->has_indexes()) return std::nullopt;
    const auto place = place_of(key, list->items.size());
    return place ? std::optional(list->items[*place]) : std::nullopt;
}

Value slice_of(Runtime& runtime, const Value& object, const Value& start, const Value& stop,
               const Value& step) {
    if (const auto* undefined = as<Undefined>(object)) fail_undefined(*undefined);
    if (const auto* text = as_text(object)) {
        runtime.scan(text->size());
        const std::size_t count = count_characters(text->bytes());
        runtime.charge_memory(2 * count * sizeof(std::size_t));
        std::vector<std::size_t> offsets{0};
        offsets.reserve(count + 1);
        for (std::size_t i = 0; i < count; ++i)
            offsets.push_back(offsets.back() + character_size(text->bytes()[offsets.back()]));
        MarkedText result;
        for (const std::size_t i : slice_indexes(count, start, stop, step))
            result.append_part(*text, offsets[i], offsets[i + 1] - offsets[i]);
        return runtime.text(std::move(result));
    }
    const auto* list = as_list(object);
    if (list == nullptr || !list->has_indexes())
        fail("a value of the type " + std::string(type_name(object)) + " cannot be sliced");
    runtime.step(1 + list->items.size() / 8);
    std::vector<Value> items;
    for (const std::size_t i : slice_indexes(list->items.size(), start, stop, step))
        items.push_back(list->items[i]);
    return runtime.list(std::move(items), list->kind);
}

bool is_iterable(const Value& value) {
    return is_undefined(value) || as_text(value) != nullptr || as_list(value) != nullptr ||
           as_dict(value) != nullptr || as<const Loop*>(value) != nullptr;
}

const std::vector<Value>& items_of(Runtime& runtime, const Value& value) {
    static const std::vector<Value> no_items;
    if (is_undefined(value)) return no_items;
    std::vector<Value> items;
    if (const auto* list = as_list(value)) {
        if (list->kind != List::Kind::generator) return list->items;
        items.assign(list->items.begin() + static_cast<std::ptrdiff_t>(list->taken), list->items.end());
        list->taken = list->items.size();
    } else if (const auto* dict = as_dict(value)) {
        for (const auto& entry : dict->entries) items.push_back(entry.first);
    } else if (const auto* text = as_text(value)) {
        runtime.charge_memory(text->size());
        for (std::size_t i = 0; i < text->size();) {
            const std::size_t size = character_size(text->bytes()[i]);
            items.push_back(runtime.text(text->part(i, size)));
            i += size;
        }
    } else {
        fail("a value of the type " + std::string(type_name(value)) + " cannot be iterated");
    }
    return as_list(runtime.list(std::move(items)))->items;
}

std::optional<std::size_t> length_of(Runtime& runtime, const Value& value) {
    if (is_undefined(value)) return 0;
    if (const auto* text = as_text(value)) {
        runtime.copy(text->size());
        return count_characters(text->bytes());
    }
    if (const auto* dict = as_dict(value)) return dict->entries.size();
    if (const auto* loop = as<const Loop*>(value)) return (*loop)->items->size();
    const auto* list = as_list(value);
    if (list == nullptr || list->kind == List::Kind::generator) return std::nullopt;
    return list->items.size();
}

}  // namespace solard::jinja
