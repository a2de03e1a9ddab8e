// Filters of lists and dictionaries, and `default`.
#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "inference/template/access.hpp"
#include "inference/template/arguments.hpp"
#include "inference/template/convert.hpp"
#include "inference/template/filters.hpp"
#include "inference/template/members.hpp"
#include "inference/template/operators.hpp"
#include "inference/template/tests.hpp"
#include "inference/template/text_operations.hpp"

namespace solard::jinja {
namespace {

// Returns the item at a path such as "function.name" or 0. `absent` replaces what does not exist, unless it
// is a null pointer.
Value item_at_path(Runtime& runtime, Value item, const Value& path, const Value* absent = nullptr) {
    std::vector<Value> parts{path};
    if (const auto* text = as_text(path)) {
        const MarkedText dot(".", Trust::trusted);
        parts = as_list(split(runtime, *text, &dot, -1, false))->items;
    }
    for (Value& part : parts) {
        if (const auto* text = as_text(part)) {
            std::int64_t index = 0;
            const char* const end = text->bytes().data() + text->size();
            const auto read = std::from_chars(text->bytes().data(), end, index);
            if (read.ec == std::errc() && read.ptr == end && !text->bytes().starts_with('-')) part = index;
        }
        item = item_of(runtime, item, part);
        if (is_undefined(item) && absent != nullptr) item = *absent;
    }
    return item;
}

Value lower_if_text(Runtime& runtime, const Value& value) {
    return as_text(value) != nullptr ? change_case(runtime, *as_text(value), Case::lower) : value;
}

Value default_filter(Runtime&, const Value& input, const Arguments& arguments) {
    static const MarkedText nothing;
    const BoundArguments bound("default", arguments, {"default_value", "boolean"});
    if (!is_undefined(input) && !(bound.flag(1) && !is_true(input))) return input;
    return bound.value_or(0, &nothing);
}

Value length(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("length", arguments, {});
    const auto size = length_of(runtime, input);
    if (!size) fail("a value of the type " + std::string(type_name(input)) + " has no length");
    return static_cast<std::int64_t>(*size);
}

Value first(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("first", arguments, {});
    const auto* list = as_list(input);
    if (list != nullptr && list->kind == List::Kind::generator)
        return list->taken < list->items.size() ? list->items[list->taken++] : Value(Undefined{});
    const auto& items = items_of(runtime, input);
    return items.empty() ? Value(Undefined{}) : items.front();
}

Value last(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("last", arguments, {});
    if (!length_of(runtime, input))
        fail("'last' needs a list or a string, not " + std::string(type_name(input)));
    const auto& items = items_of(runtime, input);
    return items.empty() ? Value(Undefined{}) : items.back();
}

Value list_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("list", arguments, {});
    return runtime.list(items_of(runtime, input));
}

Value join_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("join", arguments, {"d", "attribute"});
    std::vector<Value> items = items_of(runtime, input);
    if (bound.find(1) != nullptr && !is_none(bound.at(1)))
        for (Value& item : items) item = item_at_path(runtime, item, bound.at(1));
    return join(runtime, to_text(runtime, bound.value_or(0, Undefined{})), items);
}

Value items_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("items", arguments, {});
    std::vector<Value> items;
    if (const auto* dict = as_dict(input)) {
        for (const auto& [key, value] : dict->entries)
            items.push_back(runtime.list({key, value}, List::Kind::tuple));
    } else if (!is_undefined(input)) {
        fail("'items' needs a dictionary, not " + std::string(type_name(input)));
    }
    return runtime.list(std::move(items), List::Kind::generator);
}

Value reverse_filter(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("reverse", arguments, {});
    if (const auto* text = as_text(input)) return reverse(runtime, *text);
    std::vector<Value> items = items_of(runtime, input);
    std::ranges::reverse(items);
    const auto* list = as_list(input);
    const bool is_lazy = list == nullptr || list->kind != List::Kind::generator;
    return runtime.list(std::move(items), is_lazy ? List::Kind::generator : List::Kind::list);
}

Value map(Runtime& runtime, const Value& input, const Arguments& arguments) {
    std::vector<Value> items;
    if (is_true(input)) items = items_of(runtime, input);
    if (!arguments.positional.empty()) {
        const auto* name = as_text(arguments.positional.front());
        if (name == nullptr) fail("'map' needs the name of a filter");
        const Arguments rest{{arguments.positional.begin() + 1, arguments.positional.end()}, arguments.named};
        for (Value& item : items) item = apply_filter(runtime, name->bytes(), item, rest);
    } else {
        const BoundArguments bound("map", arguments, {"attribute", "default"}, 1);
        const Value* const absent =
            bound.find(1) != nullptr && !is_none(bound.at(1)) ? bound.find(1) : nullptr;
        for (Value& item : items) item = item_at_path(runtime, item, bound.at(0), absent);
    }
    return runtime.list(std::move(items), List::Kind::generator);
}

// select, reject, selectattr and rejectattr.
template <bool wanted, bool by_attribute>
Value select(Runtime& runtime, const Value& input, const Arguments& arguments) {
    std::vector<Value> items;
    if (is_true(input)) items = items_of(runtime, input);
    const std::size_t first_argument = by_attribute ? 1 : 0;
    if (arguments.positional.size() < first_argument) fail("'selectattr' needs the name of an attribute");
    const bool has_test = arguments.positional.size() > first_argument;
    Arguments rest{{}, arguments.named};
    std::string_view test;
    if (has_test) {
        const auto* name = as_text(arguments.positional[first_argument]);
        if (name == nullptr) fail("'select' needs the name of a test");
        test = name->bytes();
        const auto begin = arguments.positional.begin() + static_cast<std::ptrdiff_t>(first_argument) + 1;
        rest.positional.assign(begin, arguments.positional.end());
    }
    std::vector<Value> selected;
    for (const Value& item : items) {
        runtime.step();
        const Value tested = by_attribute ? item_at_path(runtime, item, arguments.positional.front()) : item;
        const bool passes = has_test ? apply_test(runtime, test, tested, rest) : is_true(tested);
        if (passes == wanted) selected.push_back(item);
    }
    return runtime.list(std::move(selected), List::Kind::generator);
}

// Sorts items by keys, which are in the same order. The sort is stable.
std::vector<Value> sort_by(Runtime& runtime, const std::vector<Value>& items, const std::vector<Value>& keys,
                           bool descending) {
    runtime.charge_memory(2 * items.size() * sizeof(std::size_t));
    std::vector<std::size_t> order(items.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
        return descending ? compare_order(runtime, keys[b], keys[a]) < 0
                          : compare_order(runtime, keys[a], keys[b]) < 0;
    });
    std::vector<Value> sorted;
    sorted.reserve(order.size());
    for (const std::size_t i : order) sorted.push_back(items[i]);
    return sorted;
}

// Returns the key of an item by which it is sorted.
Value sort_key(Runtime& runtime, const Value& item, const Value& attribute, bool case_sensitive) {
    const Value key = is_none(attribute) ? item : item_at_path(runtime, item, attribute);
    return case_sensitive ? key : lower_if_text(runtime, key);
}

Value sort(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("sort", arguments, {"reverse", "case_sensitive", "attribute"});
    const std::vector<Value> items = items_of(runtime, input);
    const Value attribute = bound.value_or(2, None{});
    std::vector<Value> keys;
    for (const Value& item : items) {
        std::vector<Value> parts{attribute};
        if (const auto* text = as_text(attribute)) {
            const MarkedText comma(",", Trust::trusted);
            parts = as_list(split(runtime, *text, &comma, -1, false))->items;
        }
        for (Value& part : parts) part = sort_key(runtime, item, part, bound.flag(1));
        keys.push_back(runtime.list(std::move(parts)));
    }
    return runtime.list(sort_by(runtime, items, keys, bound.flag(0)));
}

Value dictsort(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("dictsort", arguments, {"case_sensitive", "by", "reverse"});
    const auto* dict = as_dict(input);
    if (dict == nullptr) fail("'dictsort' needs a dictionary, not " + std::string(type_name(input)));
    const std::string by = bound.text(1) != nullptr ? bound.text(1)->bytes() : std::string("key");
    if (by != "key" && by != "value") fail("'dictsort' sorts by 'key' or by 'value'");
    std::vector<Value> items;
    std::vector<Value> keys;
    for (const auto& [key, value] : dict->entries) {
        items.push_back(runtime.list({key, value}, List::Kind::tuple));
        keys.push_back(sort_key(runtime, by == "key" ? key : value, None{}, bound.flag(0)));
    }
    return runtime.list(sort_by(runtime, items, keys, bound.flag(2)));
}

template <bool largest>
Value extreme(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound(largest ? "max" : "min", arguments, {"case_sensitive", "attribute"});
    const auto& items = items_of(runtime, input);
    Value best = Undefined{};
    Value best_key = Undefined{};
    for (const Value& item : items) {
        const Value key = sort_key(runtime, item, bound.value_or(1, None{}), bound.flag(0));
        const bool is_first = &item == &items.front();
        if (!is_first) {
            const int order = compare_order(runtime, key, best_key);
            if (largest ? order <= 0 : order >= 0) continue;
        }
        best = item;
        best_key = key;
    }
    return best;
}

Value unique(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("unique", arguments, {"case_sensitive", "attribute"});
    std::vector<Value> keys;
    std::vector<Value> kept;
    for (const Value& item : items_of(runtime, input)) {
        const Value key = sort_key(runtime, item, bound.value_or(1, None{}), bound.flag(0));
        if (as_list(key) != nullptr || as_dict(key) != nullptr)
            fail("'unique' needs items that can be keys, not " + std::string(type_name(key)));
        const auto is_key = [&](const Value& other) { return is_equal(runtime, key, other); };
        if (std::ranges::any_of(keys, is_key)) continue;
        keys.push_back(key);
        kept.push_back(item);
    }
    return runtime.list(std::move(kept), List::Kind::generator);
}

Value sum(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("sum", arguments, {"attribute", "start"});
    Value total = bound.value_or(1, std::int64_t{0});
    const Value attribute = bound.value_or(0, None{});
    for (const Value& item : items_of(runtime, input)) {
        runtime.step();
        total = apply(runtime, Operator::add, total,
                      is_none(attribute) ? item : item_at_path(runtime, item, attribute));
    }
    return total;
}

Value attr(Runtime& runtime, const Value& input, const Arguments& arguments) {
    const BoundArguments bound("attr", arguments, {"name"}, 1);
    const auto* members = as<Namespace*>(input);
    if (bound.text(0) == nullptr || members == nullptr) return Undefined{};
    return attribute_of(runtime, input, *bound.text(0));
}

constexpr auto rows = std::to_array<FilterRow>({
    {"attr", attr},
    {"count", length},
    {"d", default_filter},
    {"default", default_filter},
    {"dictsort", dictsort},
    {"first", first},
    {"items", items_filter},
    {"join", join_filter},
    {"last", last},
    {"length", length},
    {"list", list_filter},
    {"map", map},
    {"max", extreme<true>},
    {"min", extreme<false>},
    {"reject", select<false, false>},
    {"rejectattr", select<false, true>},
    {"reverse", reverse_filter},
    {"select", select<true, false>},
    {"selectattr", select<true, true>},
    {"sort", sort},
    {"sum", sum},
    {"unique", unique},
});

}  // namespace

std::span<const FilterRow> sequence_filters() {
    return rows;
}

}  // namespace solard::jinja
