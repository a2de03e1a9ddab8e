// A connection that became a WebSocket (RFC 6455): whole messages in and out. What they say is ws_session's.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "server/http/stream.hpp"

namespace solard::server {

// I/O thread only. One read, one write or ping, and one close at a time; a read must stay pending, for
// control frames are answered inside it.
class WsSocket {
  public:
    struct Handshake {
        std::string key;          // Sec-WebSocket-Key
        std::string subprotocol;  // empty: none is selected
        std::string request_id;
    };
    enum class Kind : std::uint8_t { text, binary, closed };
    enum class Control : std::uint8_t { ping_or_pong, close };
    struct Message {
        Kind kind;
        std::string_view text;  // valid until the next read
    };

    // `on_control` runs for every control frame that comes in. After a close nothing can be written any more;
    // the read that is pending ends once the client has closed its side.
    WsSocket(Stream stream, std::size_t max_message_bytes, std::function<void(Control)> on_control);
    ~WsSocket();
    WsSocket(const WsSocket&) = delete;
    WsSocket& operator=(const WsSocket&) = delete;

    // Sends the 101. Throws system_error when the client is gone.
    boost::asio::awaitable<void> accept(Handshake handshake);
    // The next message; `closed` after a closing handshake, a breach of the protocol (1002), invalid UTF-8
    // (1007), a message that is too large (1009), and when the connection is lost. Then the stream is closed.
    boost::asio::awaitable<Message> read();
    // One message of one frame. Throws system_error when the client is gone.
    boost::asio::awaitable<void> write(std::string_view text, Kind kind = Kind::text);
    boost::asio::awaitable<void> ping();
    // The closing handshake, if the connection is open; returns when the client has answered or taken too
    // long.
    boost::asio::awaitable<void> close(std::uint16_t code, std::string reason);
    // What the client closed with; 1006 if it did not, as RFC 6455, section 7.1.5 has it.
    std::uint16_t close_code() const;
    Stream& stream();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace solard::server
