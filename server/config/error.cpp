#include "server/config/error.hpp"

#include <stdexcept>

namespace solard::server {

void throw_exception_from_error(const Error& error, const boost::source_location&) {
    throw std::runtime_error(error.message);
}

errc to_server_errc(solard::errc code) {
    switch (code) {
        case solard::errc::bad_model:
            return errc::bad_model;
        case solard::errc::bad_configuration:
            return errc::bad_configuration;
        case solard::errc::device_unavailable:
            return errc::device_unavailable;
        case solard::errc::backend_failed:
            return errc::runtime_failure;
        case solard::errc::load_cancelled:
            return errc::server_draining;
        case solard::errc::invalid_request:
            return errc::invalid_value;
        case solard::errc::context_length_exceeded:
            return errc::context_length_exceeded;
        case solard::errc::queue_timeout:
            return errc::queue_timeout;
        case solard::errc::deadline_exceeded:
            return errc::server_overloaded;
        case solard::errc::numerical_error:
            return errc::numerical_error;
        case solard::errc::grammar_dead_end:
            return errc::grammar_dead_end;
        case solard::errc::engine_unavailable:
            return errc::engine_unavailable;
    }
    return errc::server_error;
}

Error to_server_error(const solard::Error& error) {
    return {to_server_errc(error.code), error.message};
}

int exit_code(errc code) {
    switch (code) {
        case errc::bad_command_line:
            return 2;
        case errc::bad_model:
            return 66;
        case errc::device_unavailable:
            return 69;
        case errc::bad_configuration:
            return 78;
        default:
            return 1;
    }
}

}  // namespace solard::server
