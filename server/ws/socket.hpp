// A connection which has become a WebSocket (RFC 6455). Reads and writes whole messages, but does not
// interpret them.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "server/http/input_charge.hpp"
#include "server/http/stream.hpp"

namespace solard::server {

// I/O thread only. At most one read, one write or ping, and one close may be pending at a time. A read must
// always be pending, because it also answers control frames.
class WsSocket {
  public:
    struct Handshake {
        std::string key;          // Sec-WebSocket-Key
        std::string subprotocol;  // empty: none is selected
        std::string request_id;
    };
    enum class Kind : std::uint8_t { text, binary, lost, closed };
    enum class Control : std::uint8_t { ping_or_pong, close };
    struct Message {
        Kind kind;
        std::string text;
    };

    // Calls `on_control` for every control frame of the client. After a close frame nothing can be written,
    // and the pending read ends as soon as the client has closed its side. Calls `on_too_many_fragments` if a
    // message has more than FragmentCounter::max_fragments.
    WsSocket(Stream stream, std::size_t max_message_bytes, std::function<void(Control)> on_control,
             std::function<void()> on_too_many_fragments);
    ~WsSocket();
    WsSocket(const WsSocket&) = delete;
    WsSocket& operator=(const WsSocket&) = delete;

    // Sends the answer with status 101. Throws system_error if the client is gone.
    boost::asio::awaitable<void> accept(Handshake handshake);
    // Completes with the next message. Charges the message's bytes as they come. If the charge is refused,
    // drops the rest of the message, and the result is meaningless. The kind is `lost`, and the text empty,
    // if memory for the text was missing. The kind is `closed` after a closing handshake, a violation of RFC
    // 6455 (1002), invalid UTF-8 (1007), a message which is too large (1009) or the loss of the connection.
    // The stream is then closed too.
    boost::asio::awaitable<Message> read(InputCharge& charge);
    // Sends one message in one frame. Throws system_error if the client is gone.
    boost::asio::awaitable<void> write(std::string_view text, Kind kind = Kind::text);
    boost::asio::awaitable<void> ping();
    // Performs the closing handshake if the connection is open. Completes when the client has answered or has
    // taken too long.
    boost::asio::awaitable<void> close(std::uint16_t code, std::string reason);
    // Returns the code of the client's close frame; 1006 if there was none (RFC 6455, section 7.1.5).
    std::uint16_t close_code() const;
    Stream& stream();

  private:
    void free_buffer();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace solard::server
