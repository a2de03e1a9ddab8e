#include "inference/template/methods.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <span>
#include <string>

#include "inference/template/access.hpp"
#include "inference/template/arguments.hpp"
#include "inference/template/characters.hpp"
#include "inference/template/convert.hpp"
#include "inference/template/search.hpp"
#include "inference/template/text_operations.hpp"
#include "inference/text/utf8.hpp"

namespace solard::jinja {
namespace {

using Method = Value (*)(Runtime&, const Value& object, const Arguments&);

struct MethodRow {
    std::string_view name;
    Method method;  // null: not supported
};

std::int64_t number(std::size_t value) {
    return static_cast<std::int64_t>(value);
}

// ---- strings

template <Side side>
Value strip_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("strip", arguments, {"chars"});
    return strip(runtime, *as_text(object), bound.text(0), side);
}

template <bool from_right>
Value split_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("split", arguments, {"sep", "maxsplit"});
    return split(runtime, *as_text(object), bound.text(0), bound.integer(1).value_or(-1), from_right);
}

Value splitlines_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("splitlines", arguments, {"keepends"});
    return split_lines(runtime, *as_text(object), bound.flag(0));
}

template <bool from_right>
Value partition_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("partition", arguments, {"sep"}, 1);
    if (bound.text(0) == nullptr) fail("the separator of a partition must be a string");
    return partition(runtime, *as_text(object), *bound.text(0), from_right);
}

// startswith() and endswith(), whose argument is a string or a tuple of strings.
template <bool at_end>
Value affix_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const std::string_view name = at_end ? "endswith" : "startswith";
    const BoundArguments bound(name, arguments, {"prefix"}, 1);
    const auto* tuple = as_list(bound.at(0));
    const bool is_tuple = tuple != nullptr && tuple->kind == List::Kind::tuple;
    const Value single = bound.at(0);
    const std::span<const Value> affixes = is_tuple ? std::span(tuple->items) : std::span(&single, 1);
    return std::ranges::any_of(affixes, [&](const Value& value) {
        const auto* affix = as_text(value);
        if (affix == nullptr)
            fail("the argument of '" + std::string(name) + "' must be a string or a tuple of strings");
        runtime.step();
        runtime.copy(affix->size());
        const std::string& text = as_text(object)->bytes();
        return at_end ? text.ends_with(affix->bytes()) : text.starts_with(affix->bytes());
    });
}

template <bool at_end>
Value remove_affix_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound(at_end ? "removesuffix" : "removeprefix", arguments, {"affix"}, 1);
    const MarkedText& text = *as_text(object);
    const MarkedText* affix = bound.text(0);
    if (affix == nullptr) fail("the part to remove must be a string");
    runtime.copy(text.size());
    const std::size_t rest = text.size() - std::min(text.size(), affix->size());
    if (at_end) return text.bytes().ends_with(affix->bytes()) ? runtime.text(text.part(0, rest)) : object;
    return text.bytes().starts_with(affix->bytes()) ? runtime.text(text.part(affix->size(), rest)) : object;
}

Value replace_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("replace", arguments, {"old", "new", "count"}, 2);
    if (bound.text(0) == nullptr || bound.text(1) == nullptr) fail("'replace' needs two strings");
    return replace(runtime, *as_text(object), *bound.text(0), *bound.text(1), bound.integer(2).value_or(-1));
}

template <Case to>
Value case_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("upper", arguments, {});
    return change_case(runtime, *as_text(object), to);
}

Value title_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("title", arguments, {});
    return title(runtime, *as_text(object));
}

Value join_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("join", arguments, {"iterable"}, 1);
    const auto& items = items_of(runtime, bound.at(0));
    for (const Value& item : items)
        if (as_text(item) == nullptr) fail("'join' needs strings, not " + std::string(type_name(item)));
    return join(runtime, *as_text(object), items);
}

enum class Search { find, rfind, index, rindex, count };
template <Search search>
Value search_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("find", arguments, {"sub"}, 1);
    if (bound.text(0) == nullptr) fail("the part to search for must be a string");
    const std::string_view text = as_text(object)->bytes();
    const std::string_view part = bound.text(0)->bytes();
    if (search == Search::count) {
        if (part.empty()) return number(count_characters(text) + 1);
        std::size_t count = 0;
        for (std::size_t i = find_text(runtime, text, part); i != std::string_view::npos;
             i = find_text(runtime, text, part, i + part.size()))
            ++count;
        return number(count);
    }
    const bool from_right = search == Search::rfind || search == Search::rindex;
    const auto found = from_right ? find_last_text(runtime, text, part) : find_text(runtime, text, part);
    if (found != std::string_view::npos) return number(count_characters(text.substr(0, found)));
    if (search == Search::index || search == Search::rindex) fail("the part was not found in the string");
    return std::int64_t{-1};
}

template <bool (*is_valid)(char32_t)>
Value all_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("is", arguments, {});
    const std::string_view text = as_text(object)->bytes();
    runtime.scan(text.size());
    for (std::size_t i = 0; i < text.size(); i += character_size(text[i]))
        if (!is_valid(first_character(text.substr(i)))) return false;
    return !text.empty();
}

bool is_ascii_digit(char32_t c) {
    return c >= '0' && c <= '9';
}

template <bool upper>
Value has_case_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("is", arguments, {});
    return has_case(runtime, *as_text(object), upper);
}

constexpr auto text_methods = std::to_array<MethodRow>({
    {"capitalize", case_method<Case::capitalized>},
    {"casefold", nullptr},
    {"center", nullptr},
    {"count", search_method<Search::count>},
    {"encode", nullptr},
    {"endswith", affix_method<true>},
    {"expandtabs", nullptr},
    {"find", search_method<Search::find>},
    {"format", nullptr},
    {"format_map", nullptr},
    {"index", search_method<Search::index>},
    {"isalnum", nullptr},
    {"isalpha", nullptr},
    {"isascii", nullptr},
    {"isdecimal", nullptr},
    {"isdigit", all_method<is_ascii_digit>},
    {"isidentifier", nullptr},
    {"islower", has_case_method<false>},
    {"isnumeric", nullptr},
    {"isprintable", all_method<is_printable>},
    {"isspace", all_method<is_space>},
    {"istitle", nullptr},
    {"isupper", has_case_method<true>},
    {"join", join_method},
    {"ljust", nullptr},
    {"lower", case_method<Case::lower>},
    {"lstrip", strip_method<Side::left>},
    {"maketrans", nullptr},
    {"partition", partition_method<false>},
    {"removeprefix", remove_affix_method<false>},
    {"removesuffix", remove_affix_method<true>},
    {"replace", replace_method},
    {"rfind", search_method<Search::rfind>},
    {"rindex", search_method<Search::rindex>},
    {"rjust", nullptr},
    {"rpartition", partition_method<true>},
    {"rsplit", split_method<true>},
    {"rstrip", strip_method<Side::right>},
    {"split", split_method<false>},
    {"splitlines", splitlines_method},
    {"startswith", affix_method<false>},
    {"strip", strip_method<Side::both>},
    {"swapcase", nullptr},
    {"title", title_method},
    {"translate", nullptr},
    {"upper", case_method<Case::upper>},
    {"zfill", nullptr},
});

// ---- dictionaries

enum class Part { keys, values, items };
template <Part part>
Value parts_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("items", arguments, {});
    std::vector<Value> parts;
    for (const auto& [key, value] : as_dict(object)->entries) {
        if (part == Part::items) {
            parts.push_back(runtime.list({key, value}, List::Kind::tuple));
        } else {
            parts.push_back(part == Part::keys ? key : value);
        }
    }
    return runtime.list(std::move(parts), List::Kind::view);
}

Value get_method(Runtime& runtime, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("get", arguments, {"key", "default"}, 1);
    const Value* found = find_entry(runtime, *as_dict(object), bound.at(0));
    return found != nullptr ? *found : bound.value_or(1, None{});
}

Value copy_method(Runtime&, const Value& object, const Arguments& arguments) {
    const BoundArguments bound("copy", arguments, {});
    return object;  // no value can change, so the value is as good as a copy
}

constexpr auto dict_methods = std::to_array<MethodRow>({
    {"clear", nullptr},
    {"copy", copy_method},
    {"fromkeys", nullptr},
    {"get", get_method},
    {"items", parts_method<Part::items>},
    {"keys", parts_method<Part::keys>},
    {"pop", nullptr},
    {"popitem", nullptr},
    {"setdefault", nullptr},
    {"update", nullptr},
    {"values", parts_method<Part::values>},
});

// ---- lists

constexpr auto list_methods = std::to_array<MethodRow>({
    {"append", nullptr},
    {"clear", nullptr},
    {"copy", copy_method},
    {"count", nullptr},
    {"extend", nullptr},
    {"index", nullptr},
    {"insert", nullptr},
    {"pop", nullptr},
    {"remove", nullptr},
    {"reverse", nullptr},
    {"sort", nullptr},
});

class BoundMethod final : public Callable {
  public:
    BoundMethod(const MethodRow& row, const Value& object) : row_(row), object_(object) {}
    Value call(Runtime& runtime, const Arguments& arguments) const override {
        if (row_.method == nullptr) fail("the method '" + std::string(row_.name) + "' is not supported");
        return row_.method(runtime, object_, arguments);
    }

  private:
    const MethodRow& row_;
    Value object_;
};

std::span<const MethodRow> methods_of(const Value& object) {
    if (as_text(object) != nullptr) return text_methods;
    if (as_dict(object) != nullptr) return dict_methods;
    const auto* list = as_list(object);
    if (list != nullptr && list->kind == List::Kind::list) return list_methods;
    return {};
}

}  // namespace

std::optional<Value> bind_method(Runtime& runtime, const Value& object, std::string_view name) {
    const auto methods = methods_of(object);
    const auto row = std::ranges::lower_bound(methods, name, {}, &MethodRow::name);
    if (row == methods.end() || row->name != name) return std::nullopt;
    return runtime.callable(std::make_unique<BoundMethod>(*row, object));
}

}  // namespace solard::jinja
