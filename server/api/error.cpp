#include "server/api/error.hpp"

#include <algorithm>
#include <array>

#include "server/api/json.hpp"

namespace solard::server {
namespace {

constexpr std::string_view invalid = "invalid_request_error";
constexpr std::string_view server = "server_error";

constexpr std::array rows{
    ErrorInfo{errc::server_error, 500, server, "server_error", false,
              "The server failed to handle the request."},
    ErrorInfo{errc::invalid_json, 400, invalid, "invalid_json", false, "The body is not valid JSON."},
    ErrorInfo{errc::invalid_value, 400, invalid, "invalid_value", false, "A field has an invalid value."},
    ErrorInfo{errc::unsupported_parameter, 400, invalid, "unsupported_parameter", false,
              "A parameter is not supported."},
    ErrorInfo{errc::unsupported_input, 400, invalid, "unsupported_input", false,
              "This input is not supported."},
    ErrorInfo{errc::context_length_exceeded, 400, invalid, "context_length_exceeded", false,
              "The prompt is longer than the model's context."},
    ErrorInfo{errc::invalid_stream_id, 400, invalid, "invalid_stream_id", false, "The stream id is invalid."},
    ErrorInfo{errc::invalid_store_transition, 400, invalid, "invalid_store_transition", false,
              "The response cannot be stored."},
    ErrorInfo{errc::invalid_api_key, 401, "authentication_error", "invalid_api_key", false,
              "The API key is missing or wrong."},
    ErrorInfo{errc::origin_not_allowed, 403, "permission_error", "origin_not_allowed", false,
              "This origin is not allowed."},
    ErrorInfo{errc::host_not_allowed, 403, "permission_error", "host_not_allowed", false,
              "This host is not allowed."},
    ErrorInfo{errc::not_found, 404, invalid, "not_found", false, "There is no such route."},
    ErrorInfo{errc::model_not_found, 404, invalid, "model_not_found", false, "There is no such model."},
    ErrorInfo{errc::response_not_found, 404, invalid, "response_not_found", false,
              "There is no such response."},
    ErrorInfo{errc::previous_response_not_found, 400, invalid, "previous_response_not_found", false,
              "The previous response is not known here."},
    ErrorInfo{errc::method_not_allowed, 405, invalid, "method_not_allowed", false,
              "The route does not take this method."},
    ErrorInfo{errc::response_expired, 410, invalid, "response_expired", false, "The response has expired."},
    ErrorInfo{errc::payload_too_large, 413, invalid, "payload_too_large", false, "The body is too large."},
    ErrorInfo{errc::unsupported_media_type, 415, invalid, "unsupported_media_type", false,
              "The body must be application/json."},
    ErrorInfo{errc::headers_too_large, 431, invalid, "headers_too_large", false,
              "The header block is too large."},
    ErrorInfo{errc::lane_busy, 409, invalid, "lane_busy", false, "The lane is busy."},
    ErrorInfo{errc::response_already_completed, 409, invalid, "response_already_completed", false,
              "The response is complete."},
    ErrorInfo{errc::upgrade_required, 426, invalid, "upgrade_required", false,
              "The route needs a WebSocket."},
    ErrorInfo{errc::unknown_event_type, 400, invalid, "unknown_event_type", false,
              "The type of the message is not known."},
    ErrorInfo{errc::websocket_stream_limit_reached, 400, invalid, "websocket_stream_limit_reached", false,
              "The socket has used all the stream ids that it may."},
    ErrorInfo{errc::websocket_connection_limit_reached, 400, invalid, "websocket_connection_limit_reached",
              false, "The socket is too old for new requests; connect again."},
    ErrorInfo{errc::steering_not_supported, 400, invalid, "steering_not_supported", false,
              "A response cannot be steered here."},
    ErrorInfo{errc::rate_limit_exceeded, 429, "rate_limit_error", "rate_limit_exceeded", true,
              "The key is over its quota."},
    ErrorInfo{errc::websocket_queue_full, 429, "rate_limit_error", "websocket_queue_full", true,
              "Too many requests wait on this socket."},
    ErrorInfo{errc::request_cancelled, 499, invalid, "request_cancelled", false,
              "The request was cancelled."},
    ErrorInfo{errc::numerical_error, 500, server, "numerical_error", false,
              "The model produced a value that is not finite."},
    ErrorInfo{errc::server_overloaded, 503, server, "server_overloaded", true,
              "The server is too busy to finish the request."},
    ErrorInfo{errc::server_starting, 503, server, "server_starting", true, "The model is still loading."},
    ErrorInfo{errc::server_draining, 503, server, "server_draining", true, "The server is shutting down."},
    ErrorInfo{errc::queue_timeout, 503, server, "queue_timeout", true,
              "The request ran into its time limit."},
    ErrorInfo{errc::engine_unavailable, 503, server, "engine_unavailable", true, "The engine stopped."},
};

}  // namespace

const ErrorInfo& error_info(errc code) {
    const auto* it = std::ranges::find(rows, code, &ErrorInfo::code);
    return it == rows.end() ? rows.front() : *it;
}

std::string error_body(const Error& error) {
    const auto& info = error_info(error.code);
    std::string body = R"({"error":{"object":"error","message":)";
    append_json_string(body, error.message);
    body.append(R"(,"type":")").append(info.type).append(R"(","param":)");
    if (error.param.empty()) {
        body += "null";
    } else {
        append_json_string(body, error.param);
    }
    body.append(R"(,"code":")").append(info.name).append("\"}}");
    return body;
}

}  // namespace solard::server
