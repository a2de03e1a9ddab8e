// A server-sent event stream over one exchange: LF framing, one write per wake-up, idle bytes in silence.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "server/config/error.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {

// Two bare line feeds: the only idle bytes that every client survives.
inline constexpr std::string_view idle_bytes = "\n\n";

// The header is held until the first event or the first idle bytes, so that whatever goes wrong before keeps
// its HTTP status.
class SseWriter {
  public:
    explicit SseWriter(HttpExchange& exchange) : exchange_(exchange) {}

    // Events are appended here and leave with the next flush().
    std::string& buffer() { return buffer_; }
    boost::asio::awaitable<void> flush();
    boost::asio::awaitable<void> idle();  // idle_bytes, after what is still buffered
    // The error object as the last event, without [DONE]; an error answer if nothing was sent yet.
    boost::asio::awaitable<void> fail(Error error);
    // [DONE] and the end of the body, after what is still buffered.
    boost::asio::awaitable<void> done();
    // The end of the body, after what is still buffered.
    boost::asio::awaitable<void> end();

  private:
    HttpExchange& exchange_;
    std::string buffer_;
};

}  // namespace solard::server
