// How much a chat template may use. A conversation can make a harmless template expensive, and a template of
// a stranger can be hostile.
#pragma once

#include <cstddef>

namespace solard::jinja {

// The defaults are far above what the published templates need for a full context, and a rendering that
// reaches the limit of steps ends within 50 ms of CPU time.
struct Limits {
    std::size_t source_bytes = std::size_t{1} << 20;  // of the template
    // How deep expressions and statements of a template may be nested. The parser calls itself for each
    // level.
    std::size_t syntax_depth = 100;
    // How deep the evaluator may call itself: nested statements, expressions and macros, and nested values
    // which are compared or printed.
    std::size_t depth = 300;
    // Each expression, statement and item is a step, and so is the work on each few bytes of text.
    std::size_t steps = 400'000;
    std::size_t output_bytes = std::size_t{8} << 20;
    // Of all values which are made during one rendering. Values live until the rendering ends.
    std::size_t value_bytes = std::size_t{32} << 20;
};

}  // namespace solard::jinja
