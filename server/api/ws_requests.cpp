#include "server/api/ws_requests.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>

#include "inference/text/utf8.hpp"
#include "server/api/json.hpp"
#include "server/config/shown.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

constexpr std::size_t max_stream_id = 256;
constexpr std::size_t max_ping_bytes = 256;

bool is_stream_id(std::string_view text) {
    return !text.empty() && text.size() <= max_stream_id && std::ranges::all_of(text, [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
               c == '-' || c == '.';
    });
}

// Returns the stream_id of the message, which names its lane, or an empty string if there is no stream_id.
result<std::string> parse_lane(const json::object& object) {
    const auto* value = object.if_contains("stream_id");
    if (value == nullptr || value->is_null()) return std::string();
    if (value->is_string() && is_stream_id(value->get_string())) return std::string(value->get_string());
    auto error = wrong_field("stream_id",
                             "a string of 1 to 256 characters from A-Z, a-z, 0-9, '_', '-' and '.'", value);
    error.code = errc::invalid_stream_id;
    return error;
}

result<std::string> parse_event_id(const json::object& object) {
    const auto* value = object.if_contains("event_id");
    if (value == nullptr || value->is_null()) return std::string();
    if (value->is_string() && count_characters(value->get_string()) <= max_event_id)
        return std::string(value->get_string());
    return wrong_field("event_id", "a string of at most " + std::to_string(max_event_id) + " characters",
                       value);
}

CreateMessage parse_create(json::object& object, UnknownFields unknown) {
    // These fields have no effect: a socket always streams, and nothing on it runs in the background. Some
    // SDKs send them nevertheless.
    for (const auto* name : {"stream", "background"}) object.erase(name);
    FieldReader fields(object);
    for (const auto* name : {"type", "stream_id", "event_id"}) fields.ignore(name);
    const bool generate = fields.boolean("generate").value_or(true);
    auto request = parse_response_request(object, fields, unknown);
    if (request) request->generate = generate;
    CreateMessage message{std::move(request)};
    const auto* parent = object.if_contains("previous_response_id");
    if (parent != nullptr && parent->is_string()) message.parent = std::string(parent->get_string());
    return message;
}

// Reads `response_id`, which the message must have.
result<std::string> required_id(FieldReader& fields) {
    auto id = fields.string("response_id");
    if (!id) fields.fail("response_id", "a string");
    if (const auto& problem = fields.error()) return *problem;
    return id.value_or("");
}

result<CancelMessage> parse_cancel(const json::object& object) {
    FieldReader fields(object);
    CancelMessage message{fields.string("response_id"), fields.boolean("queued").value_or(false)};
    if (const auto& problem = fields.error()) return *problem;
    return message;
}

result<AttachMessage> parse_attach(const json::object& object) {
    FieldReader fields(object);
    auto id = required_id(fields);
    if (!id) return id.error();
    const auto after = fields.integer("starting_after", -1, std::int64_t{1} << 53).value_or(-1);
    if (const auto& problem = fields.error()) return *problem;
    return AttachMessage{*std::move(id), after};
}

result<DetachMessage> parse_detach(const json::object& object) {
    FieldReader fields(object);
    auto id = required_id(fields);
    if (!id) return id.error();
    return DetachMessage{*std::move(id)};
}

result<PingMessage> parse_ping(const json::object& object) {
    const auto* t = object.if_contains("t");
    if (t == nullptr) return PingMessage{"null"};
    if (!t->is_number() && !t->is_string() && !t->is_null())
        return wrong_field("t", "a number or a string", t);
    std::string text = json::serialize(*t);
    if (text.size() > max_ping_bytes)
        return wrong_field("t", "at most " + std::to_string(max_ping_bytes) + " bytes of JSON", t);
    return PingMessage{std::move(text)};
}

template <class Body>
void set_body(ClientMessage& message, result<Body> body) {
    if (body) {
        message.body = *std::move(body);
    } else {
        message.body = std::move(body).error();
    }
}

}  // namespace

ClientMessage parse_client_message(std::string_view text, UnknownFields unknown) {
    ClientMessage message;
    auto value = parse_json(text);
    json::object* object = value ? value->if_object() : nullptr;
    if (object == nullptr) {
        message.body =
            value ? Error{errc::invalid_json, "The message must be a JSON object."} : value.error();
        return message;
    }
    const auto lane = parse_lane(*object);
    const auto event_id = parse_event_id(*object);
    if (event_id) message.event_id = *event_id;
    if (lane) message.lane = *lane;
    if (!lane || !event_id) {
        message.body = lane ? event_id.error() : lane.error();
        return message;
    }
    const auto* type = object->if_contains("type");
    const std::string_view name =
        type != nullptr && type->is_string() ? std::string_view(type->get_string()) : "";
    if (name == "response.create") {
        message.body = parse_create(*object, unknown);
    } else if (name == "response.cancel") {
        set_body(message, parse_cancel(*object));
    } else if (name == "solar:attach") {
        set_body(message, parse_attach(*object));
    } else if (name == "solar:detach") {
        set_body(message, parse_detach(*object));
    } else if (name == "solar:ping") {
        set_body(message, parse_ping(*object));
    } else if (name == "response.steer") {
        message.body = SteerMessage{};
    } else {
        message.body = Error{errc::unknown_event_type,
                             name.empty() ? "The type of the message is missing or not a string."
                                          : "The type '" + shown(name) + "' of the message is unknown.",
                             "type"};
    }
    return message;
}

}  // namespace solard::server
