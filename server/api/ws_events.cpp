#include "server/api/ws_events.hpp"

#include <chrono>
#include <cmath>

#include "server/api/error.hpp"
#include "server/api/json.hpp"

namespace solard::server {
namespace {

void append_string_field(std::string& out, std::string_view name, std::string_view value) {
    out.append(",\"").append(name).append("\":");
    append_json_string(out, value);
}

void append_ids(std::string& out, std::string_view lane, std::string_view event_id) {
    if (!lane.empty()) append_string_field(out, "stream_id", lane);
    if (!event_id.empty()) append_string_field(out, "event_id", event_id);
}

void append_number_field(std::string& out, std::string_view name, std::int64_t value) {
    out.append(",\"").append(name).append("\":");
    append_json_number(out, value);
}

// Appends `"code":..,"message":..,"param":..`.
void append_error(std::string& out, const Error& error) {
    out.append(R"("code":")").append(error_info(error.code).name).append(R"(","message":)");
    append_json_string(out, message_of(error));
    out += R"(,"param":)";
    append_error_param(out, error);
}

}  // namespace

std::string error_event(const Error& error, std::string_view lane, std::string_view event_id) {
    const auto& info = error_info(error.code);
    std::string out = R"({"type":"error","status":)";
    append_json_number(out, std::int64_t{info.status});
    out += ',';
    append_error(out, error);
    out.append(R"(,"error":{"object":"error","type":")").append(info.type).append("\",");
    append_error(out, error);
    if (info.retry_after) {
        const auto seconds = std::chrono::ceil<std::chrono::seconds>(retry_time(error));
        out.append(R"(,"headers":{"retry-after":")").append(std::to_string(seconds.count())).append("\"}");
    }
    out += '}';
    append_ids(out, lane, event_id);
    return out + "}";
}

std::string steer_failed_event(std::string_view lane, std::string_view event_id) {
    const Error error = default_error(errc::steering_not_supported);
    std::string out = R"({"type":"response.steer.failed","error":{"type":"invalid_request_error",)";
    append_error(out, error);
    out += '}';
    append_ids(out, lane, event_id);
    return out + "}";
}

std::string pong_event(std::string_view t, std::int64_t now) {
    std::string out = R"({"type":"solar:pong","t":)";
    out.append(t);
    append_number_field(out, "server_time_ms", now);
    return out + "}";
}

std::string session_event(const SessionFacts& facts) {
    std::string out = R"({"type":"solar:session","protocol":"solar.responses.v1")";
    append_string_field(out, "server_version", facts.version);
    append_string_field(out, "model", facts.model);
    append_number_field(out, "context_length", facts.context_length);
    out += R"(,"limits":{"max_message_bytes":)";
    append_json_number(out, facts.max_message_bytes);
    append_number_field(out, "max_in_flight", facts.max_in_flight);
    append_number_field(out, "max_lanes", facts.max_lanes);
    append_number_field(out, "max_waiting", facts.max_waiting);
    out += R"(,"resume_seconds":)";
    append_json_number(out, facts.resume_seconds);
    return out + "}}";
}

std::string progress_fields(const ProgressFacts& facts) {
    std::string out;
    append_string_field(out, "phase", facts.phase);
    append_number_field(out, "queue_position", facts.queue_position);
    append_number_field(out, "queue_length", facts.queue_length);
    append_number_field(out, "prompt_tokens_done", facts.prompt_tokens_done);
    append_number_field(out, "prompt_tokens", facts.prompt_tokens);
    append_number_field(out, "output_tokens", facts.output_tokens);
    out += R"(,"tokens_per_s":)";
    append_json_number(out, std::round(facts.tokens_per_second * 100) / 100);
    append_number_field(out, "elapsed_ms", facts.elapsed_ms);
    return out;
}

}  // namespace solard::server
