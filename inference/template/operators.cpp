#include "inference/template/operators.hpp"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "inference/template/access.hpp"
#include "inference/template/convert.hpp"
#include "inference/template/search.hpp"

namespace solard::jinja {
namespace {

std::string_view symbol_of(Operator op) {
    switch (op) {
        case Operator::add:
            return "+";
        case Operator::subtract:
            return "-";
        case Operator::multiply:
            return "*";
        case Operator::divide:
            return "/";
        case Operator::floor_divide:
            return "//";
        case Operator::modulo:
            return "%";
        case Operator::power:
            break;
    }
    return "**";
}

[[noreturn]] void fail_operands(std::string_view op, const Value& a, const Value& b) {
    for (const Value& value : {a, b})
        if (const auto* undefined = as<Undefined>(value)) fail_undefined(*undefined);
    fail("'" + std::string(op) + "' does not work between " + std::string(type_name(a)) + " and " +
         std::string(type_name(b)));
}

[[noreturn]] void fail_overflow() {
    fail("the result is outside of 64 bits");
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
    if (b == -1) {
        std::int64_t result = 0;
        if (__builtin_sub_overflow(std::int64_t{0}, a, &result)) fail_overflow();
        return result;
    }
    return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

Value power(std::int64_t base, std::int64_t exponent) {
    if (exponent < 0) {
        if (base == 0) fail("zero has no negative power");
        return std::pow(static_cast<double>(base), static_cast<double>(exponent));
    }
    if (base == 0 || base == 1) return exponent == 0 ? 1 : base;
    if (base == -1) return exponent % 2 == 0 ? std::int64_t{1} : std::int64_t{-1};
    std::int64_t result = 1;
    for (; exponent > 0; --exponent)
        if (__builtin_mul_overflow(result, base, &result)) fail_overflow();
    return result;
}

Value apply_integers(Operator op, std::int64_t a, std::int64_t b) {
    std::int64_t result = 0;
    bool overflow = false;
    if (b == 0 && (op == Operator::divide || op == Operator::floor_divide || op == Operator::modulo))
        fail("a division by zero");
    switch (op) {
        case Operator::add:
            overflow = __builtin_add_overflow(a, b, &result);
            break;
        case Operator::subtract:
            overflow = __builtin_sub_overflow(a, b, &result);
            break;
        case Operator::multiply:
            overflow = __builtin_mul_overflow(a, b, &result);
            break;
        case Operator::divide:
            return static_cast<double>(a) / static_cast<double>(b);
        case Operator::floor_divide:
            return floor_divide(a, b);
        case Operator::modulo:
            // The remainder has the sign of the divisor, as in Python. a % -1 overflows for the smallest a.
            result = b == -1 ? 0 : a % b;
            return result != 0 && (result < 0) != (b < 0) ? result + b : result;
        case Operator::power:
            return power(a, b);
    }
    if (overflow) fail_overflow();
    return result;
}

Value apply_numbers(Operator op, double a, double b) {
    if (b == 0 && (op == Operator::divide || op == Operator::floor_divide || op == Operator::modulo))
        fail("a division by zero");
    switch (op) {
        case Operator::add:
            return a + b;
        case Operator::subtract:
            return a - b;
        case Operator::multiply:
            return a * b;
        case Operator::divide:
            return a / b;
        case Operator::floor_divide:
            return std::floor(a / b);
        case Operator::modulo: {
            const double rest = std::fmod(a, b);
            if (rest == 0) return std::copysign(0.0, b);
            return (rest < 0) != (b < 0) ? rest + b : rest;
        }
        case Operator::power:
            break;
    }
    const double result = std::pow(a, b);
    if (std::isnan(result) || (std::isinf(result) && std::isfinite(a))) fail("the power has no real value");
    return result;
}

Value repeat(Runtime& runtime, const Value& value, std::int64_t count) {
    const auto times = static_cast<std::size_t>(std::max<std::int64_t>(count, 0));
    if (const auto* text = as_text(value)) {
        if (times > 0 && text->size() > runtime.limits().value_bytes / times)
            runtime.charge_memory(runtime.limits().value_bytes + 1);
        runtime.charge_memory(text->size() * times);
        runtime.step(times);
        MarkedText result;
        for (std::size_t i = 0; i < times; ++i) result.append(*text);
        return runtime.text(std::move(result));
    }
    const auto& list = *as_list(value);
    if (times > 0 && list.items.size() * sizeof(Value) > runtime.limits().value_bytes / times)
        runtime.charge_memory(runtime.limits().value_bytes + 1);
    runtime.step(times);
    runtime.step(list.items.size() * times / 8);
    std::vector<Value> items;
    for (std::size_t i = 0; i < times; ++i) items.insert(items.end(), list.items.begin(), list.items.end());
    return runtime.list(std::move(items), list.kind);
}

bool is_repeatable(const Value& value) {
    const auto* list = as_list(value);
    return as_text(value) != nullptr || (list != nullptr && list->is_plain());
}

Value add_lists(Runtime& runtime, const List& a, const List& b) {
    runtime.charge_memory((a.items.size() + b.items.size()) * sizeof(Value));
    std::vector<Value> items = a.items;
    items.insert(items.end(), b.items.begin(), b.items.end());
    return runtime.list(std::move(items), a.kind);
}

bool is_equal_dict(Runtime& runtime, const Dict& a, const Dict& b) {
    if (a.entries.size() != b.entries.size()) return false;
    return std::ranges::all_of(a.entries, [&](const auto& entry) {
        const Value* other = find_entry(runtime, b, entry.first);
        return other != nullptr && is_equal(runtime, entry.second, *other);
    });
}

template <class Number>
int order_of(Number a, Number b) {
    return a < b ? -1 : a > b ? 1 : 0;
}

}  // namespace

bool is_true(const Value& value) {
    if (is_undefined(value) || is_none(value)) return false;
    if (const auto number = as_number(value)) return *number != 0;
    if (const auto* text = as_text(value)) return !text->empty();
    if (const auto* dict = as_dict(value)) return !dict->entries.empty();
    const auto* list = as_list(value);
    return list == nullptr || list->kind == List::Kind::generator || !list->items.empty();
}

bool is_equal(Runtime& runtime, const Value& a, const Value& b) {
    const Runtime::Level level(runtime);
    runtime.step();
    const auto integer_a = as_integer(a);
    const auto integer_b = as_integer(b);
    if (integer_a && integer_b) return *integer_a == *integer_b;
    const auto number_a = as_number(a);
    const auto number_b = as_number(b);
    if (number_a && number_b) return *number_a == *number_b;
    if (a.index() != b.index()) return false;
    if (is_undefined(a) || is_none(a)) return true;
    if (const auto* text = as_text(a)) {
        runtime.copy(text->size());
        return text->bytes() == as_text(b)->bytes();
    }
    if (const auto* dict = as_dict(a)) return is_equal_dict(runtime, *dict, *as_dict(b));
    const auto* list = as_list(a);
    if (list == nullptr || !list->has_indexes()) return a == b;
    const auto& other = *as_list(b);
    return list->kind == other.kind &&
           std::ranges::equal(list->items, other.items,
                              [&](const Value& x, const Value& y) { return is_equal(runtime, x, y); });
}

int compare_order(Runtime& runtime, const Value& a, const Value& b) {
    const Runtime::Level level(runtime);
    runtime.step();
    const auto integer_a = as_integer(a);
    const auto integer_b = as_integer(b);
    if (integer_a && integer_b) return order_of(*integer_a, *integer_b);
    const auto number_a = as_number(a);
    const auto number_b = as_number(b);
    if (number_a && number_b) return order_of(*number_a, *number_b);
    if (as_text(a) != nullptr && as_text(b) != nullptr) {
        runtime.copy(as_text(a)->size());
        return as_text(a)->bytes().compare(as_text(b)->bytes());
    }
    const auto* list_a = as_list(a);
    const auto* list_b = as_list(b);
    if (list_a == nullptr || list_b == nullptr || list_a->kind != list_b->kind || !list_a->is_plain())
        fail_operands("<", a, b);
    for (std::size_t i = 0; i < std::min(list_a->items.size(), list_b->items.size()); ++i) {
        if (!is_equal(runtime, list_a->items[i], list_b->items[i]))
            return compare_order(runtime, list_a->items[i], list_b->items[i]);
    }
    return order_of(list_a->items.size(), list_b->items.size());
}

bool compare(Runtime& runtime, Comparison comparison, const Value& a, const Value& b) {
    const auto is_nan = [](const Value& value) {
        const auto* number = as<double>(value);
        return number != nullptr && std::isnan(*number);
    };
    switch (comparison) {
        case Comparison::equal:
            return is_equal(runtime, a, b);
        case Comparison::not_equal:
            return !is_equal(runtime, a, b);
        case Comparison::in:
            return contains(runtime, b, a);
        case Comparison::not_in:
            return !contains(runtime, b, a);
        default:
            break;
    }
    const int order = compare_order(runtime, a, b);
    if (is_nan(a) || is_nan(b)) return false;
    switch (comparison) {
        case Comparison::less:
            return order < 0;
        case Comparison::less_equal:
            return order <= 0;
        case Comparison::greater:
            return order > 0;
        default:
            return order >= 0;
    }
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
    if (const auto* text = as_text(container)) {
        const auto* part = as_text(item);
        if (part == nullptr) fail_operands("in", item, container);
        return find_text(runtime, text->bytes(), part->bytes()) != std::string_view::npos;
    }
    if (const auto* dict = as_dict(container)) return find_entry(runtime, *dict, item) != nullptr;
    const std::vector<Value>& items = items_of(runtime, container);
    return std::ranges::any_of(items, [&](const Value& one) { return is_equal(runtime, one, item); });
}

Value apply(Runtime& runtime, Operator op, const Value& a, const Value& b) {
    const auto integer_a = as_integer(a);
    const auto integer_b = as_integer(b);
    if (integer_a && integer_b) return apply_integers(op, *integer_a, *integer_b);
    const auto number_a = as_number(a);
    const auto number_b = as_number(b);
    if (number_a && number_b) return apply_numbers(op, *number_a, *number_b);
    if (op == Operator::add && as_text(a) != nullptr && as_text(b) != nullptr) return concat(runtime, {a, b});
    if (op == Operator::add && as_list(a) != nullptr && as_list(b) != nullptr &&
        as_list(a)->kind == as_list(b)->kind && is_repeatable(a))
        return add_lists(runtime, *as_list(a), *as_list(b));
    if (op == Operator::multiply && is_repeatable(a) && integer_b) return repeat(runtime, a, *integer_b);
    if (op == Operator::multiply && integer_a && is_repeatable(b)) return repeat(runtime, b, *integer_a);
    if (op == Operator::modulo && as_text(a) != nullptr) fail("formatting a text with % is not supported");
    fail_operands(symbol_of(op), a, b);
}

Value negate(const Value& value, bool is_minus) {
    if (const auto integer = as_integer(value)) {
        std::int64_t result = *integer;
        if (is_minus && __builtin_sub_overflow(std::int64_t{0}, *integer, &result)) fail_overflow();
        return result;
    }
    if (const auto* number = as<double>(value)) return is_minus ? -*number : *number;
    if (const auto* undefined = as<Undefined>(value)) fail_undefined(*undefined);
    fail("a sign does not work with " + std::string(type_name(value)));
}

Value concat(Runtime& runtime, const std::vector<Value>& parts) {
    MarkedText text;
    for (const Value& part : parts) {
        const MarkedText& piece = to_text(runtime, part);
        runtime.charge_memory(piece.size());
        text.append(piece);
    }
    return runtime.text(std::move(text));
}

}  // namespace solard::jinja
