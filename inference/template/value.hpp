// The values of a template. All of them live in a Heap until the rendering ends, so a Value is cheap to copy,
// and no value can form a loop that is never freed.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "inference/text/marked_text.hpp"

namespace solard::jinja {

struct List;
struct Dict;
struct Namespace;
struct Loop;
class Callable;

// What a name or an item that does not exist becomes. It prints as nothing.
struct Undefined {
    std::string_view name;  // what does not exist; for the message of an error
    bool operator==(const Undefined&) const = default;
};
struct None {
    bool operator==(const None&) const = default;
};

using Value = std::variant<Undefined, None, bool, std::int64_t, double, const MarkedText*, const List*,
                           const Dict*, Namespace*, const Loop*, const Callable*>;

// Returns the alternative T of the value, or a null pointer.
template <class T>
const T* as(const Value& value) {
    return std::get_if<T>(&value);
}
inline const MarkedText* as_text(const Value& value) {
    const auto* text = as<const MarkedText*>(value);
    return text != nullptr ? *text : nullptr;
}
inline const List* as_list(const Value& value) {
    const auto* list = as<const List*>(value);
    return list != nullptr ? *list : nullptr;
}
inline const Dict* as_dict(const Value& value) {
    const auto* dict = as<const Dict*>(value);
    return dict != nullptr ? *dict : nullptr;
}
// Returns the value of a number or of a boolean.
inline std::optional<std::int64_t> as_integer(const Value& value) {
    if (const auto* boolean = as<bool>(value)) return *boolean ? 1 : 0;
    if (const auto* integer = as<std::int64_t>(value)) return *integer;
    return std::nullopt;
}
inline std::optional<double> as_number(const Value& value) {
    if (const auto* number = as<double>(value)) return *number;
    if (const auto integer = as_integer(value)) return static_cast<double>(*integer);
    return std::nullopt;
}
inline bool is_undefined(const Value& value) {
    return std::holds_alternative<Undefined>(value);
}
inline bool is_none(const Value& value) {
    return std::holds_alternative<None>(value);
}

// A list, a tuple, or what Python makes lazily. Immutable, as in the sandbox of the peers, but for `taken`.
struct List {
    // A range is a result of range(), and a view one of a dictionary's items(), keys() or values(). A
    // generator is a result of `map`, `select` and the like: it has no length and can be read only once.
    enum class Kind { list, tuple, range, view, generator };
    // Returns true for what can be printed, added and written as JSON.
    bool is_plain() const { return kind == Kind::list || kind == Kind::tuple; }
    bool has_indexes() const { return is_plain() || kind == Kind::range; }

    Kind kind = Kind::list;
    std::vector<Value> items;
    mutable std::size_t taken = 0;  // how many items of a generator were read
};

// A dictionary, in the order of insertion. The keys are texts, numbers, booleans or none.
struct Dict {
    std::vector<std::pair<Value, Value>> entries;
};

// The only mutable value: what `namespace()` returns.
struct Namespace {
    std::vector<std::pair<const MarkedText*, Value>> members;
};

// The variable `loop` inside of a `for`.
struct Loop {
    const std::vector<Value>* items = nullptr;
    std::size_t index = 0;                       // from 0
    std::size_t depth = 0;                       // from 0
    mutable const List* last_changed = nullptr;  // the arguments of the last call of loop.changed()
};

// The arguments of a call, a filter or a test.
struct Arguments {
    std::vector<Value> positional;
    std::vector<std::pair<std::string_view, Value>> named;
};

class Runtime;

// A function, a macro, or a method together with its object.
class Callable {
  public:
    virtual ~Callable() = default;
    virtual Value call(Runtime& runtime, const Arguments& arguments) const = 0;
};

}  // namespace solard::jinja
