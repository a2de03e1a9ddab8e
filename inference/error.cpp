#include "inference/error.hpp"

namespace solard {

void throw_exception_from_error(const Error& error, const boost::source_location&) {
    throw ErrorException(error);
}

}  // namespace solard
