#include "tests/support/ws_client.hpp"

#include <boost/json/parse.hpp>
#include <boost/system/system_error.hpp>
#include <stdexcept>

namespace solard::server {

std::string upgrade_request(const std::vector<std::string>& fields) {
    std::string request =
        "GET /v1/responses HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: "
        "websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (const auto& field : fields) request += field + "\r\n";
    return request + "\r\n";
}

WsClient::WsClient(std::uint16_t port, const std::vector<std::string>& fields, int receive_buffer)
    : connection_(port, receive_buffer) {
    connection_.send(upgrade_request(fields));
    std::string head;
    while (!head.ends_with("\r\n\r\n")) {
        const auto byte = connection_.read_bytes(1);
        if (byte.empty())
            throw std::runtime_error("the server closed the connection during the handshake: " + head);
        head += byte;
    }
    // The accept value that belongs to the key above (RFC 6455, section 1.3).
    if (!head.starts_with("HTTP/1.1 101 ") || head.find("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") == std::string::npos)
        throw std::runtime_error("the server refused the handshake: " + head);
}

void WsClient::send_frame(std::uint8_t opcode, std::string_view payload, bool fin) {
    std::string frame;
    frame += static_cast<char>((fin ? 0x80 : 0) | opcode);
    const auto size = payload.size();
    const int extra = size < 126 ? 0 : size < 65536 ? 2 : 8;
    frame += static_cast<char>(0x80 | (extra == 0 ? size : extra == 2 ? 126U : 127U));
    for (int i = extra - 1; i >= 0; --i) frame += static_cast<char>(size >> (8 * i));
    const std::string mask = "\x12\x34\x56\x78";
    frame += mask;
    for (std::size_t i = 0; i < size; ++i) frame += static_cast<char>(payload[i] ^ mask[i % 4]);
    connection_.send(frame);
}

WsFrame WsClient::read_frame() {
    const auto number = [&](std::size_t bytes) {
        std::size_t value = 0;
        for (const char byte : connection_.read_bytes(bytes))
            value = value << 8 | static_cast<unsigned char>(byte);
        return value;
    };
    const std::string head = connection_.read_bytes(2);
    if (head.size() < 2) return {WsFrame::close, ""};
    std::size_t size = static_cast<unsigned char>(head[1]);  // no mask bit: a server does not mask
    if (size == 126) size = number(2);
    if (size == 127) size = number(8);
    return {static_cast<std::uint8_t>(head[0] & 0x0f), connection_.read_bytes(size)};
}

boost::json::object WsClient::read() {
    for (;;) {
        const WsFrame frame = read_frame();
        if (frame.opcode == WsFrame::text) return boost::json::parse(frame.payload).as_object();
        if (frame.opcode == WsFrame::close) throw std::runtime_error("the socket closed: " + frame.payload);
    }
}

std::vector<boost::json::object> WsClient::read_until(std::string_view type) {
    std::vector<boost::json::object> events;
    do events.push_back(read());
    while (type_of(events.back()) != type);
    return events;
}

std::uint16_t WsClient::read_close() {
    for (;;) {
        const WsFrame frame = read_frame();
        if (frame.opcode != WsFrame::close) continue;
        if (frame.payload.size() < 2) return 1006;
        try {
            send_frame(WsFrame::close, frame.payload.substr(0, 2));
        } catch (const boost::system::system_error&) {
            // The server waits for the answer for a limited time, which has passed on a busy machine.
        }
        return static_cast<std::uint16_t>(static_cast<unsigned char>(frame.payload[0]) << 8 |
                                          static_cast<unsigned char>(frame.payload[1]));
    }
}

std::string create_message(std::string_view fields, std::string_view input) {
    std::string message =
        R"({"type":"response.create","temperature":0,"seed":0,"input":")" + std::string(input) + '"';
    if (!fields.empty()) message.append(",").append(fields);
    return message + "}";
}

std::string type_of(const boost::json::object& event) {
    return std::string(event.at("type").as_string());
}

bool is_terminal(const boost::json::object& event) {
    const auto type = type_of(event);
    return type == "response.completed" || type == "response.incomplete" || type == "response.failed";
}

}  // namespace solard::server
