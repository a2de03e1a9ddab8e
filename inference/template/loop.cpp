#include "inference/template/loop.hpp"

#include <cstdint>
#include <memory>

#include "inference/template/operators.hpp"

namespace solard::jinja {
namespace {

// loop.cycle(a, b, ..): the argument whose turn it is.
class Cycle final : public Callable {
  public:
    explicit Cycle(const Loop& loop) : loop_(loop) {}
    Value call(Runtime&, const Arguments& arguments) const override {
        if (arguments.positional.empty() || !arguments.named.empty())
            fail("loop.cycle() needs values without names");
        return arguments.positional[loop_.index % arguments.positional.size()];
    }

  private:
    const Loop& loop_;
};

// loop.changed(a, ..): whether the arguments differ from those of the call before.
class Changed final : public Callable {
  public:
    explicit Changed(const Loop& loop) : loop_(loop) {}
    Value call(Runtime& runtime, const Arguments& arguments) const override {
        if (!arguments.named.empty()) fail("loop.changed() needs values without names");
        const Value now = runtime.list(arguments.positional);
        const bool is_same =
            loop_.last_changed != nullptr && is_equal(runtime, now, Value(loop_.last_changed));
        loop_.last_changed = as_list(now);
        return !is_same;
    }

  private:
    const Loop& loop_;
};

}  // namespace

std::optional<Value> loop_member(Runtime& runtime, const Loop& loop, std::string_view name) {
    const std::size_t size = loop.items->size();
    const auto number = [](std::size_t value) { return static_cast<std::int64_t>(value); };
    if (name == "index") return number(loop.index + 1);
    if (name == "index0") return number(loop.index);
    if (name == "revindex") return number(size - loop.index);
    if (name == "revindex0") return number(size - loop.index - 1);
    if (name == "first") return loop.index == 0;
    if (name == "last") return loop.index + 1 == size;
    if (name == "length") return number(size);
    if (name == "depth") return number(loop.depth + 1);
    if (name == "depth0") return number(loop.depth);
    if (name == "previtem")
        return loop.index > 0 ? (*loop.items)[loop.index - 1] : Undefined{"loop.previtem"};
    if (name == "nextitem")
        return loop.index + 1 < size ? (*loop.items)[loop.index + 1] : Undefined{"loop.nextitem"};
    if (name == "cycle") return runtime.callable(std::make_unique<Cycle>(loop));
    if (name == "changed") return runtime.callable(std::make_unique<Changed>(loop));
    return std::nullopt;
}

}  // namespace solard::jinja
