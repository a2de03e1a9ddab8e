// The expected failures of inference/: errc, Error and result<T>. An unexpected failure is an exception.
//
// The server has error codes of its own; server/config/error.hpp translates the codes of this file into them.
#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>
#include <string>
#include <utility>

namespace solard {

enum class errc {
    // Errors of loading a model and starting the engine.
    bad_model,
    bad_configuration,  // an option does not fit the model or the machine
    device_unavailable,
    backend_failed,  // out of memory, or an exception of the backend
    load_cancelled,  // loading was stopped because the model is no longer wanted
    // Reasons why a request ended, reported in StepEvent::error.
    invalid_request,
    context_length_exceeded,
    queue_timeout,
    deadline_exceeded,
    numerical_error,     // the model produced a value that is not finite
    grammar_dead_end,    // the grammar of the answer allowed no token, or became too slow
    engine_unavailable,  // the engine stopped
};

struct Error {
    errc code;
    std::string message;  // one sentence for the person who can solve the problem
};

template <class T = void>
using result = boost::system::result<T, Error>;

// Thrown by result<T>::value() if the result holds an Error. The engine turns this exception back into
// the Error.
struct ErrorException : std::runtime_error {
    explicit ErrorException(Error e) : std::runtime_error(e.message), error(std::move(e)) {}
    Error error;
};
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

}  // namespace solard
