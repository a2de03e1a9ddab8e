// Why a template cannot be parsed or rendered. Inside this folder a failure is an exception, because every
// function of the interpreter can fail; Template turns it into an Error.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

namespace solard::jinja {

struct Failure {
    enum class Kind {
        fault,   // the template asks for something impossible
        limit,   // a limit was reached
        raised,  // the template called raise_exception()
    };
    Kind kind = Kind::fault;
    std::string message;  // a clause without a full stop
};

// A failure with its place in the source. Only the parser and the evaluator know the place.
struct PlacedFailure {
    Failure failure;
    std::size_t offset = 0;
};

[[noreturn]] inline void fail(std::string message) {
    throw Failure{Failure::Kind::fault, std::move(message)};
}
[[noreturn]] inline void fail_limit(std::string message) {
    throw Failure{Failure::Kind::limit, std::move(message)};
}

}  // namespace solard::jinja
