// Tests how a client's messages on a socket are parsed, and how the error event is written.
#include <boost/json/parse.hpp>
#include <boost/test/unit_test.hpp>

#include "server/api/ws_events.hpp"
#include "server/api/ws_requests.hpp"

namespace solard::server {

namespace {

ClientMessage parse(std::string_view text, UnknownFields unknown = UnknownFields::ignored) {
    return parse_client_message(text, unknown);
}

// Returns the code and the field of the error of an invalid message; "none" if the message is valid.
std::string error_of(std::string_view text) {
    const auto message = parse(text);
    const auto* error = std::get_if<Error>(&message.body);
    if (error == nullptr) return "none";
    return std::to_string(static_cast<int>(error->code)) + " " + error->param;
}
std::string expected(errc code, const std::string& param = {}) {
    return std::to_string(static_cast<int>(code)) + " " + param;
}

template <class Body>
Body body_of(std::string_view text) {
    return std::get<Body>(parse(text).body);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ws_requests)

BOOST_AUTO_TEST_CASE(create_message_is_the_http_body_with_a_lane) {
    const auto message =
        parse(R"({"type":"response.create","stream_id":"tab-1_x.y","event_id":"e","input":"Hi",
        "max_output_tokens":5,"stream":true,"background":true,"store":false})",
              UnknownFields::refused);
    BOOST_TEST(message.lane == "tab-1_x.y");
    BOOST_TEST(message.event_id == "e");
    const auto& create = std::get<CreateMessage>(message.body);
    BOOST_REQUIRE(create.request.has_value());
    BOOST_TEST(create.request->input.front().content == "Hi");
    BOOST_TEST(create.request->generation.max_tokens.value() == 5);
    BOOST_TEST(create.request->generate);
    BOOST_TEST(!create.request->store);
    BOOST_TEST(!body_of<CreateMessage>(R"({"type":"response.create","input":"a","generate":false})")
                    .request->generate);
}

BOOST_AUTO_TEST_CASE(extension_object_of_a_create_message_is_read_and_checked) {
    const auto request = [](const std::string& solar) {
        return body_of<CreateMessage>(R"({"type":"response.create","input":"a","solar":)" + solar + "}")
            .request;
    };
    const auto full =
        request(R"({"progress":true,"resumable":true,"max_delta_hz":30,"idempotency_key":"k"})");
    BOOST_TEST(full->progress);
    BOOST_TEST(full->resumable);
    BOOST_TEST(full->max_delta_hz == 30);
    BOOST_TEST(full->idempotency_key == "k");
    BOOST_TEST(request(R"({"max_delta_hz":120})").has_value());
    BOOST_TEST(request(R"({"max_delta_hz":120.1})").error().param == "solar.max_delta_hz");
    BOOST_TEST(request(R"({"max_delta_hz":0.1})").has_value());
    BOOST_TEST(request(R"({"max_delta_hz":0.09})").error().param == "solar.max_delta_hz");
    BOOST_TEST(request(R"({"max_delta_hz":-1})").error().param == "solar.max_delta_hz");
    BOOST_TEST(request(R"({"idempotency_key":")" + std::string(256, 'k') + R"("})").has_value());
    BOOST_TEST(request(R"({"idempotency_key":")" + std::string(257, 'k') + R"("})").error().param ==
               "solar.idempotency_key");
    for (const std::string field : {R"("resumable":true)", R"("idempotency_key":"k")"}) {
        const auto unstored = body_of<CreateMessage>(
            R"({"type":"response.create","input":"a","store":false,"solar":{)" + field + "}}");
        BOOST_TEST((unstored.request.error().code == errc::invalid_value));
    }
}

BOOST_AUTO_TEST_CASE(metadata_and_user_have_a_maximum_size) {
    const auto param = [](const std::string& field) {
        const auto create = body_of<CreateMessage>(R"({"type":"response.create","input":"a",)" + field + "}");
        return create.request ? "" : create.request.error().param;
    };
    const auto pairs = [](int count) {
        std::string text = R"("metadata":{)";
        for (int i = 0; i < count; ++i) text += (i > 0 ? "," : "") + ('"' + std::to_string(i)) + R"(":"v")";
        return text + "}";
    };
    BOOST_TEST(param(pairs(16)).empty());
    BOOST_TEST(param(pairs(17)) == "metadata");
    const auto pair = [](std::size_t key, std::size_t value) {
        return R"("metadata":{")" + std::string(key, 'k') + R"(":")" + std::string(value, 'v') + R"("})";
    };
    BOOST_TEST(param(pair(64, 512)).empty());
    BOOST_TEST(param(pair(65, 1)) == "metadata");
    BOOST_TEST(param(pair(1, 513)) == "metadata");
    BOOST_TEST(param(R"("metadata":{"a":[[]]})") == "metadata");
    BOOST_TEST(param(R"("user":")" + std::string(512, 'u') + '"').empty());
    BOOST_TEST(param(R"("user":")" + std::string(513, 'u') + '"') == "user");
}

BOOST_AUTO_TEST_CASE(create_message_with_an_invalid_field_is_an_error_of_its_request) {
    const auto message = parse(R"({"type":"response.create","stream_id":"a","input":5})");
    BOOST_TEST(message.lane == "a");
    BOOST_TEST(std::get<CreateMessage>(message.body).request.error().param == "input");
}

BOOST_AUTO_TEST_CASE(other_messages_are_parsed) {
    const auto cancel =
        body_of<CancelMessage>(R"({"type":"response.cancel","response_id":"r","queued":true})");
    BOOST_TEST(cancel.response_id.value() == "r");
    BOOST_TEST(cancel.queued);
    BOOST_TEST(!body_of<CancelMessage>(R"({"type":"response.cancel"})").response_id.has_value());
    BOOST_TEST(body_of<AttachMessage>(R"({"type":"solar:attach","response_id":"r"})").starting_after == -1);
    BOOST_TEST(body_of<AttachMessage>(R"({"type":"solar:attach","response_id":"r","starting_after":7})")
                   .starting_after == 7);
    BOOST_TEST(body_of<DetachMessage>(R"({"type":"solar:detach","response_id":"r"})").response_id == "r");
    BOOST_TEST(body_of<PingMessage>(R"({"type":"solar:ping","t":"x\"y"})").t == R"("x\"y")");
    BOOST_TEST(body_of<PingMessage>(R"({"type":"solar:ping"})").t == "null");
    BOOST_TEST(std::holds_alternative<SteerMessage>(parse(R"({"type":"response.steer","text":"x"})").body));
}

BOOST_AUTO_TEST_CASE(invalid_messages_name_the_wrong_field) {
    BOOST_TEST(error_of("{") == expected(errc::invalid_json));
    BOOST_TEST(error_of("[]") == expected(errc::invalid_json));
    BOOST_TEST(error_of(R"({"type":"response.create","type":"x"})") == expected(errc::invalid_json, "type"));
    BOOST_TEST(error_of("{}") == expected(errc::unknown_event_type, "type"));
    BOOST_TEST(error_of(R"({"type":5})") == expected(errc::unknown_event_type, "type"));
    BOOST_TEST(error_of(R"({"type":"session.update"})") == expected(errc::unknown_event_type, "type"));
    BOOST_TEST(error_of(R"({"type":"solar:attach"})") == expected(errc::invalid_value, "response_id"));
    BOOST_TEST(error_of(R"({"type":"solar:detach","response_id":1})") ==
               expected(errc::invalid_value, "response_id"));
    BOOST_TEST(error_of(R"({"type":"solar:attach","response_id":"r","starting_after":-2})") ==
               expected(errc::invalid_value, "starting_after"));
    BOOST_TEST(error_of(R"({"type":"response.cancel","queued":1})") ==
               expected(errc::invalid_value, "queued"));
    BOOST_TEST(error_of(R"({"type":"solar:ping","t":")" + std::string(254, 't') + R"("})") == "none");
    BOOST_TEST(error_of(R"({"type":"solar:ping","t":")" + std::string(255, 't') + R"("})") ==
               expected(errc::invalid_value, "t"));
    BOOST_TEST(error_of(R"({"type":"solar:ping","t":{}})") == expected(errc::invalid_value, "t"));
    BOOST_TEST(error_of(R"({"type":"solar:ping","event_id":")" + std::string(65, 'e') + R"("})") ==
               expected(errc::invalid_value, "event_id"));
    BOOST_TEST(error_of(R"({"type":"solar:ping","event_id":")" + std::string(64, 'e') + R"("})") == "none");
}

BOOST_AUTO_TEST_CASE(stream_id_has_1_to_256_allowed_characters) {
    const auto with = [](const std::string& id) {
        return error_of(R"({"type":"solar:ping","stream_id":)" + id + "}");
    };
    for (const std::string id : {R"("a")", R"("A-Z_0.9")", "null"}) BOOST_TEST(with(id) == "none");
    BOOST_TEST(with('"' + std::string(256, 'a') + '"') == "none");
    BOOST_TEST(with('"' + std::string(257, 'a') + '"') == expected(errc::invalid_stream_id, "stream_id"));
    for (const std::string id : {R"("")", R"("a b")", R"("a/b")", R"("ü")", "5", "{}"})
        BOOST_TEST(with(id) == expected(errc::invalid_stream_id, "stream_id"));
}

BOOST_AUTO_TEST_CASE(error_event_has_the_error_at_both_levels_and_the_ids) {
    const auto event = boost::json::parse(error_event(
        {errc::websocket_queue_full, "full", "p", std::chrono::milliseconds(1500)}, "lane", "ev"));
    for (const auto* part : {&event.as_object(), &event.at("error").as_object()}) {
        BOOST_TEST(part->at("code") == "websocket_queue_full");
        BOOST_TEST(part->at("message") == "full");
        BOOST_TEST(part->at("param") == "p");
    }
    BOOST_TEST(event.at("type") == "error");
    BOOST_TEST(event.at("status") == 429);
    BOOST_TEST(event.at("error").at("type") == "rate_limit_error");
    BOOST_TEST(event.at("error").at("headers").at("retry-after") == "2");
    BOOST_TEST(event.at("stream_id") == "lane");
    BOOST_TEST(event.at("event_id") == "ev");
    const auto plain = boost::json::parse(error_event({errc::invalid_json, "bad"}, "", ""));
    BOOST_TEST(plain.at("param").is_null());
    for (const auto* name : {"stream_id", "event_id"}) BOOST_TEST(!plain.as_object().contains(name));
    BOOST_TEST(!plain.at("error").as_object().contains("headers"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
