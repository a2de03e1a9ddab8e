#include "tests/server/allocation_failure/request_kinds.hpp"

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/system/system_error.hpp>
#include <memory>
#include <stdexcept>

#include "tests/support/ws_client.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

// A socket is closed if memory is missing for the coroutines which read and write it. Nearly all other failed
// allocations leave it open.
constexpr double max_broken_sockets = 0.15;

std::string with_head(const Target& target, const std::string& request_line, const std::string& fields) {
    return request_line + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + target.key + "\r\n" +
           fields + "\r\n";
}

// Removes the fields which can differ between two correct answers to the same request.
void remove_changing(json::value& value) {
    static constexpr std::array<std::string_view, 9> changing{"id",           "created",     "created_at",
                                                              "completed_at", "engine",      "timings",
                                                              "solar",        "response_id", "item_id"};
    if (auto* object = value.if_object()) {
        for (const auto key : changing) object->erase(key);
        for (auto& member : *object) remove_changing(member.value());
    } else if (auto* array = value.if_array()) {
        for (auto& element : *array) remove_changing(element);
    }
}

std::string status_of(const HttpAnswer& answer) {
    return std::to_string(answer.status);
}

std::string json_of(const HttpAnswer& answer) {
    auto body = json::parse(answer.body);
    remove_changing(body);
    return status_of(answer) + " " + json::serialize(body);
}

std::string body_of(const HttpAnswer& answer) {
    return status_of(answer) + " " + answer.body;
}

// Returns the status and the text of a response.
std::string output_of(const HttpAnswer& answer) {
    const auto body = json::parse(answer.body);
    return status_of(answer) + " " + json::serialize(body.at("output").at(0).at("content"));
}

std::string size_of_json(const HttpAnswer& answer) {
    return status_of(answer) + " " + std::to_string(json::parse(answer.body).as_object().size());
}

// Returns the status and the names of all metrics.
std::string metrics_of(const HttpAnswer& answer) {
    std::string names = status_of(answer);
    for (std::size_t at = 0; (at = answer.body.find("# TYPE ", at)) != std::string::npos; ++at)
        names += answer.body.substr(at + 6, answer.body.find(' ', at + 7) - at - 6);
    return names;
}

HttpAnswer send_and_read(Connection& connection, const std::string& request) {
    try {
        connection.send(request);
    } catch (const boost::system::system_error&) {
        // The server has closed the connection, but it may have sent an answer before that.
    }
    return connection.read_answer();
}

// An HTTP request that is sent on a new connection.
RequestKind http(const Target& target, std::string name, const std::string& request, Essence essence) {
    Connection connection(target.port);
    const std::string expected = essence(send_and_read(connection, request));
    const auto send = [request, essence, expected](const Target& to) {
        Connection fresh(to.port);
        return outcome_of(send_and_read(fresh, request), essence, expected);
    };
    return {std::move(name), [send](const Target& to) { return [send, to] { return send(to); }; }};
}

std::string create_response(const Target& target) {
    Connection connection(target.port);
    const auto answer = send_and_read(
        connection, post(target, "/v1/responses", R"({"input":"hi","max_output_tokens":3,"seed":0})"));
    return std::string(json::parse(answer.body).at("id").as_string());
}

// A request for a stored response. The response is created before the request is sent.
RequestKind for_stored(std::string name, const std::string& method, const std::string& after_id,
                       Essence essence) {
    const auto prepare = [=](const Target& target) -> std::function<Outcome()> {
        const auto request = [&] {
            return plain(target, method, "/v1/responses/" + create_response(target) + after_id);
        };
        Connection connection(target.port);
        const std::string expected = essence(send_and_read(connection, request()));
        return [target, essence, expected, text = request()] {
            Connection fresh(target.port);
            return outcome_of(send_and_read(fresh, text), essence, expected);
        };
    };
    return {std::move(name), prepare};
}

// The second request on a connection.
RequestKind second_request(const Target& target) {
    const std::string request = post(target, "/tokenize", R"({"prompt":"hello world"})");
    const auto prepare = [request](const Target& to) -> std::function<Outcome()> {
        const auto connection = std::make_shared<Connection>(to.port);
        const std::string expected = json_of(send_and_read(*connection, request));
        return [connection, expected, request] {
            return outcome_of(send_and_read(*connection, request), json_of, expected);
        };
    };
    return {"second request on a connection", prepare};
}

RequestKind upgrade(const Target& target) {
    const std::string request = upgrade_request({"Authorization: Bearer " + target.key});
    const auto send = [request](const Target& to) {
        Connection connection(to.port);
        connection.send(request);
        std::string head = connection.read_bytes(12);
        if (head.empty()) return Outcome::broken;
        return head == "HTTP/1.1 101"   ? Outcome::correct
               : head == "HTTP/1.1 500" ? Outcome::refused
                                        : Outcome::wrong;
    };
    return {"upgrade to a WebSocket", [send](const Target& to) { return [send, to] { return send(to); }; }};
}

// Reads events until `num_terminal` requests have ended. Appends the text of each lane to `texts`. Returns
// how the requests ended.
Outcome read_events(WsClient& socket, std::size_t num_terminal, std::map<std::string, std::string>& texts) {
    Outcome outcome = Outcome::correct;
    while (num_terminal > 0) {
        const WsFrame frame = socket.read_frame();
        if (frame.opcode == WsFrame::close) return Outcome::broken;
        if (frame.opcode != WsFrame::text) continue;
        const auto event = json::parse(frame.payload).as_object();
        const auto* stream_id = event.if_contains("stream_id");
        const std::string lane =
            stream_id != nullptr && stream_id->is_string() ? std::string(stream_id->as_string()) : "";
        const std::string type = type_of(event);
        if (type == "response.output_text.delta") texts[lane] += event.at("delta").as_string();
        if (type == "error") {
            if (event.at("code") != "server_error") return Outcome::wrong;
            outcome = Outcome::refused;
            --num_terminal;
        } else if (type == "response.failed") {
            outcome = Outcome::failed_stream;
            --num_terminal;
        } else if (is_terminal(event)) {
            --num_terminal;
        }
    }
    return outcome;
}

// Opens a socket, and waits until its server is ready for messages.
std::shared_ptr<WsClient> open_socket(const Target& target) {
    auto socket = std::make_shared<WsClient>(target.port, std::vector{"Authorization: Bearer " + target.key});
    socket->send_frame(WsFrame::ping, "");
    while (socket->read_frame().opcode != WsFrame::pong) {
    }
    return socket;
}

using Texts = std::map<std::string, std::string>;  // of each lane

std::size_t num_different(const Texts& expected, const Texts& texts) {
    return static_cast<std::size_t>(std::ranges::count_if(expected, [&](const auto& lane) {
        const auto found = texts.find(lane.first);
        return found == texts.end() || found->second != lane.second;
    }));
}

// Messages that are sent on a WebSocket which is already open. Only one lane may get an incorrect answer, and
// afterwards the socket must answer the same messages correctly.
RequestKind messages(std::string name, std::vector<std::string> sent, std::size_t num_terminal,
                     bool compares_texts) {
    const auto exchange = [=](WsClient& socket, Texts& texts) {
        try {
            for (const auto& message : sent) socket.send(message);
        } catch (const boost::system::system_error&) {
            return Outcome::broken;
        }
        return read_events(socket, num_terminal, texts);
    };
    const auto prepare = [=](const Target& target) -> std::function<Outcome()> {
        Texts expected;
        if (exchange(*open_socket(target), expected) != Outcome::correct)
            throw std::runtime_error("a request on a socket failed without a failed allocation");
        return [=, socket = open_socket(target)] {
            Texts texts;
            const auto outcome = exchange(*socket, texts);
            if (outcome == Outcome::broken || !compares_texts) return outcome;
            if (outcome == Outcome::correct) return texts == expected ? outcome : Outcome::wrong;
            Texts again;
            const bool socket_works = exchange(*socket, again) == Outcome::correct && again == expected;
            return socket_works && num_different(expected, texts) <= 1 ? outcome : Outcome::wrong;
        };
    };
    return {std::move(name), prepare, max_broken_sockets};
}

}  // namespace

std::string stream_of(const HttpAnswer& answer) {
    std::array<std::string, 8> texts;
    std::string last;
    for (std::size_t at = 0; (at = answer.body.find("data: {", at)) != std::string::npos; ++at) {
        const auto event =
            json::parse(answer.body.substr(at + 6, answer.body.find("\n\n", at) - at - 6)).as_object();
        if (const auto* type = event.if_contains("type")) last = type->as_string();
        if (const auto* delta = event.if_contains("delta"); delta != nullptr && delta->is_string())
            texts[0] += delta->as_string();
        const auto* choices = event.if_contains("choices");
        if (choices == nullptr) continue;
        for (const auto& choice : choices->as_array()) {
            auto& text = texts.at(choice.at("index").to_number<std::size_t>());
            if (const auto* whole = choice.as_object().if_contains("text")) text += whole->as_string();
            const auto* delta = choice.as_object().if_contains("delta");
            if (delta != nullptr && delta->as_object().contains("content"))
                text += delta->at("content").as_string();
        }
    }
    std::string essence = answer.body.ends_with("data: [DONE]\n\n") ? "done" : last;
    for (const auto& text : texts) essence += "\n" + text;
    return essence;
}

Outcome outcome_of(const HttpAnswer& answer, Essence essence, const std::string& expected) {
    if (answer.status == 0) return Outcome::broken;
    if (answer.status == 500 && answer.complete)
        return json::parse(answer.body).at("error").at("code") == "server_error" ? Outcome::refused
                                                                                 : Outcome::wrong;
    const bool error_event = answer.body.find(R"("code":"server_error")") != std::string::npos;
    if (answer.status == 200 && error_event) return Outcome::failed_stream;
    if (!answer.complete && answer.status != 204) return Outcome::broken;  // 204 has no body
    return essence(answer) == expected ? Outcome::correct : Outcome::wrong;
}

std::string post(const Target& target, const std::string& path, const std::string& body) {
    return with_head(
               target, "POST " + path,
               "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n") +
           body;
}

std::string plain(const Target& target, const std::string& method, const std::string& path) {
    return with_head(target, method + " " + path, "");
}

std::vector<RequestKind> request_kinds(const Target& target) {
    const std::string chat = "/v1/chat/completions";
    const auto chat_body = [](const std::string& fields) {
        return R"({"messages":[{"role":"user","content":"hello"}],"temperature":0,"seed":0,"max_tokens":4)" +
               fields + "}";
    };
    const auto of = [&](std::string name, const std::string& request, Essence essence) {
        return http(target, std::move(name), request, essence);
    };
    const Target stranger{target.port, "unknown"};
    const std::string chunked_body = chat_body("");
    return {
        of("chat, whole", post(target, chat, chat_body("")), json_of),
        of("chat, streamed", post(target, chat, chat_body(R"(,"stream":true)")), stream_of),
        of("chat, 4 choices with logprobs",
           post(target, chat, chat_body(R"(,"n":4,"logprobs":true,"top_logprobs":3)")), json_of),
        of("chat, body in chunks",
           with_head(target, "POST " + chat,
                     "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n") +
               "10\r\n" + chunked_body.substr(0, 16) + "\r\n" +
               std::string{"0123456789abcdef"[(chunked_body.size() - 16) / 16]} +
               "0123456789abcdef"[(chunked_body.size() - 16) % 16] + "\r\n" + chunked_body.substr(16) +
               "\r\n0\r\n\r\n",
           json_of),
        of("chat, body parsed by the worker thread", post(target, chat, chat_body(std::string(70'000, ' '))),
           json_of),
        of("completions, 3 prompts",
           post(target, "/v1/completions",
                R"({"prompt":["a","bb","ccc"],"max_tokens":4,"temperature":0,"seed":0,"logprobs":2,)"
                R"("prompt_logprobs":1})"),
           json_of),
        of("completions, streamed with echo",
           post(target, "/v1/completions",
                R"({"prompt":"hello","max_tokens":4,"temperature":0,"seed":0,"echo":true,"logprobs":1,)"
                R"("stream":true})"),
           stream_of),
        of("response, whole",
           post(target, "/v1/responses",
                R"({"input":"hello","max_output_tokens":4,"temperature":0,"seed":0})"),
           output_of),
        of("response, streamed",
           post(target, "/v1/responses",
                R"({"input":"hello","max_output_tokens":4,"temperature":0,"seed":0,"stream":true})"),
           stream_of),
        for_stored("stored response", "GET", "", output_of),
        for_stored("stored response, streamed", "GET", "?stream=true", stream_of),
        for_stored("deletion of a response", "DELETE", "", status_of),
        of("input tokens", post(target, "/v1/responses/input_tokens", R"({"input":"hello"})"), json_of),
        of("rendered prompt", post(target, chat + "/render", chat_body("")), json_of),
        of("tokens", post(target, "/tokenize", R"({"prompt":"hello world","return_token_strs":true})"),
           json_of),
        of("tokens, encoded by the worker thread",
           post(target, "/tokenize", R"({"prompt":")" + std::string(9000, 'x') + R"("})"), json_of),
        of("text of tokens", post(target, "/detokenize", R"({"tokens":[300,301,302,303]})"), json_of),
        of("models", plain(target, "GET", "/v1/models"), json_of),
        of("metadata", plain(target, "GET", "/v1/metadata"), size_of_json),
        of("metrics", plain(target, "GET", "/metrics"), metrics_of),
        of("health", plain(target, "GET", "/v1/health/ready"), body_of),
        of("page", plain(target, "GET", "/"), body_of),
        of("ticket", post(target, "/v1/ws_tickets", "{}"), status_of),
        of("unknown path", plain(target, "GET", "/nothing/here"), body_of),
        of("invalid JSON", post(target, chat, "{\"messages\":"), body_of),
        of("invalid header", "GET /\r\n\r\n", body_of),
        of("unknown key", plain(stranger, "GET", "/v1/models"), body_of),
        of("preflight",
           "OPTIONS " + chat +
               " HTTP/1.1\r\nHost: localhost\r\nOrigin: http://a.example\r\nAccess-Control-Request-Method: "
               "POST\r\n\r\n",
           body_of),
        second_request(target),
        upgrade(target),
        messages("request on a WebSocket", {create_message(R"("max_output_tokens":4)", "hello")}, 1, true),
        messages("two lanes of a WebSocket",
                 {create_message(R"("max_output_tokens":4,"stream_id":"a")", "hello"),
                  create_message(R"("max_output_tokens":4,"stream_id":"b")", "world")},
                 2, true),
        messages("cancelled request on a WebSocket",
                 {create_message(R"("max_output_tokens":2000)", "hello"), R"({"type":"response.cancel"})"}, 1,
                 false),
    };
}

}  // namespace solard::server
