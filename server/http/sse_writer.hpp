// Writes a stream of server-sent events to one exchange. Lines end with LF, flush() sends all events so far
// in one write, and idle bytes keep a silent connection open.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "server/config/error.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {

// Two bare line feeds are the only idle bytes that every client accepts.
inline constexpr std::string_view idle_bytes = "\n\n";

// The header is sent together with the first event or the first idle bytes, so that an error before that
// point still has its own HTTP status.
class SseWriter {
  public:
    explicit SseWriter(HttpExchange& exchange) : exchange_(exchange) {}

    // The caller appends events to this buffer; the next flush() sends them.
    std::string& buffer() { return buffer_; }
    boost::asio::awaitable<void> flush();
    // Sends the buffered events, followed by idle_bytes.
    boost::asio::awaitable<void> idle();
    // Sends the buffered events and `event`, which reports the error, and ends the body. If nothing has been
    // sent yet, sends only an error answer.
    boost::asio::awaitable<void> fail(Error error, std::string event);
    // Sends the buffered events and ends the body.
    boost::asio::awaitable<void> end();

  private:
    HttpExchange& exchange_;
    std::string buffer_;
};

}  // namespace solard::server
