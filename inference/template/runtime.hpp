// What a rendering uses: memory for values, the budget of steps, and the way from a value to another template
// construct.
#pragma once

#include <ctime>
#include <deque>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "inference/template/failure.hpp"
#include "inference/template/limits.hpp"
#include "inference/template/value.hpp"

namespace solard::jinja {

// One rendering. Every function that makes a value or works on text charges it here, and throws a Failure if
// a limit is reached. Used by one thread.
class Runtime {
  public:
    Runtime(const Limits& limits, std::time_t now) : limits_(limits), now_(now) {}
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    void step(std::size_t count = 1) {
        if (count > limits_.steps - steps_) fail_steps();
        steps_ += count;
    }
    // Charges the copying of bytes, and work that looks at each character on its own.
    void copy(std::size_t bytes) { step(bytes / 64); }
    void scan(std::size_t bytes) { step(1 + bytes / 4); }
    void charge_memory(std::size_t bytes) {
        if (bytes > limits_.value_bytes - value_bytes_) fail_memory();
        value_bytes_ += bytes;
    }

    // Each of these functions charges the memory of the new value.
    Value text(MarkedText text);
    // A text that is made from values, and not of characters of the template.
    Value untrusted_text(std::string bytes) { return text(MarkedText(std::move(bytes), Trust::untrusted)); }
    Value list(std::vector<Value> items, List::Kind kind = List::Kind::list);
    Value dict(std::vector<std::pair<Value, Value>> entries);
    Namespace* make_namespace();
    Loop* make_loop();
    const Callable* callable(std::unique_ptr<Callable> callable);

    const Limits& limits() const { return limits_; }
    std::time_t now() const { return now_; }
    std::size_t steps() const { return steps_; }

    // One level of a function that calls itself. Throws a Failure at the limit of depth.
    class Level {
      public:
        explicit Level(Runtime& runtime) : runtime_(runtime) {
            if (runtime.depth_ >= runtime.limits_.depth) runtime.fail_depth();
            ++runtime.depth_;
        }
        ~Level() { --runtime_.depth_; }
        Level(const Level&) = delete;
        Level& operator=(const Level&) = delete;

      private:
        Runtime& runtime_;
    };

  private:
    [[noreturn]] void fail_steps() const;
    [[noreturn]] void fail_memory() const;
    [[noreturn]] void fail_depth() const;

    const Limits limits_;
    const std::time_t now_;
    std::size_t steps_ = 0;
    std::size_t value_bytes_ = 0;
    std::size_t depth_ = 0;
    // Deques, because values point to their elements.
    std::deque<MarkedText> texts_;
    std::deque<List> lists_;
    std::deque<Dict> dicts_;
    std::deque<Namespace> namespaces_;
    std::deque<Loop> loops_;
    std::deque<std::unique_ptr<Callable>> callables_;
};

}  // namespace solard::jinja
