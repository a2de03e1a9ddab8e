#include "inference/template/functions.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <memory>
#include <string>

#include "inference/template/access.hpp"
#include "inference/template/arguments.hpp"
#include "inference/template/convert.hpp"

namespace solard::jinja {
namespace {

constexpr std::int64_t max_range = 100'000;  // the limit of Jinja's sandbox

class Function final : public Callable {
  public:
    using Pointer = Value (*)(Runtime&, const Arguments&);
    explicit Function(Pointer function) : function_(function) {}
    Value call(Runtime& runtime, const Arguments& arguments) const override {
        return function_(runtime, arguments);
    }

  private:
    Pointer function_;
};

Value range(Runtime& runtime, const Arguments& arguments) {
    const BoundArguments bound("range", arguments, {"start", "stop", "step"}, 1);
    std::array<std::int64_t, 3> parts{0, 0, 1};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (bound.find(i) == nullptr) continue;
        const auto part = bound.integer(i);
        if (!part) fail("'range' needs integers");
        parts[i] = *part;
    }
    auto [start, stop, step] = parts;
    if (bound.find(1) == nullptr) {
        stop = start;
        start = 0;
    }
    if (step == 0) fail("the step of 'range' must not be zero");
    std::vector<Value> numbers;
    for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
        if (std::ssize(numbers) == max_range)
            fail_limit("a range would have more than " + std::to_string(max_range) + " numbers");
        numbers.emplace_back(i);
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    return runtime.list(std::move(numbers), List::Kind::range);
}

// The entries of the first argument, which is a dictionary or a list of pairs, and those of named arguments.
Dict entries_of(Runtime& runtime, std::string_view function, const Arguments& arguments) {
    Dict dict;
    if (arguments.positional.size() > 1) fail("'" + std::string(function) + "' takes at most one dictionary");
    if (!arguments.positional.empty()) {
        const Value& source = arguments.positional.front();
        if (const auto* undefined = as<Undefined>(source)) fail_undefined(*undefined);
        if (const auto* other = as_dict(source)) {
            runtime.step(1 + other->entries.size() / 8);
            dict = *other;
        } else {
            for (const Value& pair : items_of(runtime, source)) {
                const auto* list = as_list(pair);
                if (list == nullptr || list->items.size() != 2)
                    fail("'" + std::string(function) + "' needs pairs of a key and a value");
                put_entry(runtime, dict, list->items[0], list->items[1]);
            }
        }
    }
    for (const auto& [name, value] : arguments.named)
        put_entry(runtime, dict, runtime.text(MarkedText(std::string(name), Trust::trusted)), value);
    return dict;
}

Value dict_function(Runtime& runtime, const Arguments& arguments) {
    return runtime.dict(std::move(entries_of(runtime, "dict", arguments).entries));
}

Value namespace_function(Runtime& runtime, const Arguments& arguments) {
    Namespace* const made = runtime.make_namespace();
    const Dict dict = entries_of(runtime, "namespace", arguments);
    for (const auto& [key, value] : dict.entries) {
        if (as_text(key) == nullptr) fail("the names of a namespace must be strings");
        runtime.charge_memory(sizeof(made->members.front()));
        made->members.emplace_back(as_text(key), value);
    }
    return made;
}

Value raise_exception(Runtime& runtime, const Arguments& arguments) {
    const BoundArguments bound("raise_exception", arguments, {"message"}, 1);
    throw Failure{Failure::Kind::raised, to_text(runtime, bound.at(0)).bytes()};
}

Value strftime_now(Runtime& runtime, const Arguments& arguments) {
    const BoundArguments bound("strftime_now", arguments, {"format"}, 1);
    const auto* format = bound.text(0);
    std::array<char, 256> buffer;
    if (format == nullptr || format->empty() || format->size() > buffer.size() / 8)
        fail("'strftime_now' needs a format of 1 to 32 bytes");
    std::tm time{};
    const std::time_t now = runtime.now();
    ::localtime_r(&now, &time);
    const std::size_t size = std::strftime(buffer.data(), buffer.size(), format->bytes().c_str(), &time);
    return runtime.untrusted_text(std::string(buffer.data(), size));
}

}  // namespace

void set_functions(Runtime& runtime, Scope& scope) {
    using Row = std::pair<std::string_view, Function::Pointer>;
    constexpr auto functions = std::to_array<Row>({{"range", range},
                                                   {"dict", dict_function},
                                                   {"namespace", namespace_function},
                                                   {"raise_exception", raise_exception},
                                                   {"strftime_now", strftime_now}});
    for (const auto& [name, function] : functions)
        scope.set(runtime, name, runtime.callable(std::make_unique<Function>(function)));
}

}  // namespace solard::jinja
