#include "server/api/error.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "server/api/json.hpp"
#include "server/config/random_bits.hpp"

namespace solard::server {
namespace {

constexpr std::string_view invalid = "invalid_request_error";
constexpr std::string_view server = "server_error";

constexpr std::array rows{
    ErrorInfo{
        errc::server_error, 500, server, "server_error", false,
        "An internal error occurred. Retry the request; if it fails again, tell the operator of the server."},
    ErrorInfo{errc::invalid_json, 400, invalid, "invalid_json", false, "The request is not valid JSON."},
    ErrorInfo{errc::invalid_value, 400, invalid, "invalid_value", false,
              "A field of the request has an invalid value."},
    ErrorInfo{errc::unsupported_parameter, 400, invalid, "unsupported_parameter", false,
              "The request contains a parameter which this server does not support."},
    ErrorInfo{errc::unsupported_input, 400, invalid, "unsupported_input", false,
              "The request contains input which this server does not support."},
    ErrorInfo{errc::context_length_exceeded, 400, invalid, "context_length_exceeded", false,
              "The prompt does not fit in the context of the model. Shorten the prompt."},
    ErrorInfo{errc::invalid_stream_id, 400, invalid, "invalid_stream_id", false,
              "stream_id must be a string of 1 to 256 characters from A-Z, a-z, 0-9, '_', '-' and '.'."},
    ErrorInfo{errc::invalid_store_transition, 400, invalid, "invalid_store_transition", false,
              "A stored response cannot continue a response which is not stored."},
    ErrorInfo{errc::invalid_api_key, 401, "authentication_error", "invalid_api_key", false,
              "The API key is missing or wrong. Send a valid key in the header 'Authorization: Bearer "
              "KEY', 'x-api-key: KEY' or 'api-key: KEY'."},
    ErrorInfo{errc::origin_not_allowed, 403, "permission_error", "origin_not_allowed", false,
              "Requests from this origin are not allowed."},
    ErrorInfo{errc::host_not_allowed, 403, "permission_error", "host_not_allowed", false,
              "Requests to this host name are not allowed."},
    ErrorInfo{errc::not_found, 404, invalid, "not_found", false, "This path does not exist."},
    ErrorInfo{errc::model_not_found, 404, invalid, "model_not_found", false,
              "This model does not exist. GET /v1/models lists the models of this server."},
    ErrorInfo{errc::response_not_found, 404, invalid, "response_not_found", false,
              "There is no response with this id."},
    ErrorInfo{errc::previous_response_not_found, 400, invalid, "previous_response_not_found", false,
              "previous_response_id does not name an existing response."},
    ErrorInfo{errc::method_not_allowed, 405, invalid, "method_not_allowed", false,
              "This path does not support this method."},
    ErrorInfo{errc::response_expired, 410, invalid, "response_expired", false,
              "The response with this id has expired."},
    ErrorInfo{errc::payload_too_large, 413, invalid, "payload_too_large", false,
              "The body of the request is too large."},
    ErrorInfo{errc::unsupported_media_type, 415, invalid, "unsupported_media_type", false,
              "The Content-Type of the request must be application/json."},
    ErrorInfo{errc::headers_too_large, 431, invalid, "headers_too_large", false,
              "The header of the request is too large."},
    ErrorInfo{
        errc::lane_busy, 409, invalid, "lane_busy", false,
        "This stream_id is already in use. Wait until its response has ended, or use another stream_id."},
    ErrorInfo{errc::response_already_completed, 409, invalid, "response_already_completed", false,
              "The response is already complete."},
    ErrorInfo{errc::upgrade_required, 426, invalid, "upgrade_required", false,
              "This path accepts only WebSocket connections."},
    ErrorInfo{errc::unknown_event_type, 400, invalid, "unknown_event_type", false,
              "The type of the message is unknown."},
    ErrorInfo{errc::websocket_stream_limit_reached, 400, invalid, "websocket_stream_limit_reached", false,
              "This connection has used its maximum number of stream ids. Reuse one of them, or open a new "
              "connection."},
    ErrorInfo{errc::websocket_connection_limit_reached, 400, invalid, "websocket_connection_limit_reached",
              false,
              "This connection has reached its maximum age. Open a new connection for further requests."},
    ErrorInfo{errc::steering_not_supported, 400, invalid, "steering_not_supported", false,
              "This server does not support steering a response."},
    ErrorInfo{errc::rate_limit_exceeded, 429, "rate_limit_error", "rate_limit_exceeded", true,
              "This client has reached its rate limit. Retry later."},
    ErrorInfo{errc::websocket_queue_full, 429, "rate_limit_error", "websocket_queue_full", true,
              "Too many requests are waiting on this connection. Wait until one of them ends."},
    ErrorInfo{errc::request_cancelled, 499, invalid, "request_cancelled", false,
              "The request was cancelled."},
    ErrorInfo{errc::numerical_error, 500, server, "numerical_error", false,
              "The model computed a value which is not finite. Tell the operator of the server."},
    ErrorInfo{
        errc::grammar_dead_end, 400, invalid, "grammar_dead_end", false,
        "The grammar of the request allows no further token of this model, or takes too long to follow."},
    ErrorInfo{errc::server_overloaded, 503, server, "server_overloaded", true,
              "The server is too busy to finish the request. Retry later."},
    ErrorInfo{errc::server_starting, 503, server, "server_starting", true,
              "The model is still loading. Retry later."},
    ErrorInfo{errc::server_draining, 503, server, "server_draining", true,
              "The server is shutting down. Retry later."},
    ErrorInfo{errc::queue_timeout, 503, server, "queue_timeout", true,
              "The request waited too long in the queue. Retry later."},
    ErrorInfo{errc::engine_unavailable, 503, server, "engine_unavailable", true,
              "The engine has stopped. Retry later."},
};

}  // namespace

const ErrorInfo& error_info(errc code) {
    const auto* it = std::ranges::find(rows, code, &ErrorInfo::code);
    return it == rows.end() ? rows.front() : *it;
}

Error default_error(errc code, std::string param) {
    return {code, std::string(error_info(code).message), std::move(param)};
}

std::chrono::milliseconds unknown_wait() {
    return std::chrono::milliseconds(1000 + random_bits() % 1000);
}

std::string error_body(const Error& error) {
    const auto& info = error_info(error.code);
    std::string body = R"({"error":{"object":"error","message":)";
    append_json_string(body, message_of(error));
    body.append(R"(,"type":")").append(info.type).append(R"(","param":)");
    append_error_param(body, error);
    body.append(R"(,"code":")").append(info.name).append("\"}}");
    return body;
}

void append_error_param(std::string& out, const Error& error) {
    if (error.param.empty()) {
        out += "null";
    } else {
        append_json_string(out, error.param);
    }
}

}  // namespace solard::server
