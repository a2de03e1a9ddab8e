// Reads the requests of one connection with Beast. This is one of the few files that may include Beast.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <cstdint>
#include <optional>
#include <string_view>

#include "server/auth/access.hpp"
#include "server/config/app_config.hpp"
#include "server/config/error.hpp"
#include "server/http/exchange.hpp"
#include "server/http/request_body.hpp"
#include "server/http/stream.hpp"
#include "server/observe/waiting_memory.hpp"

namespace solard::server {

// For each request, the caller calls wait(), then read_head(), then read_body(). It may stop after any of
// them, if it reads no further request. Each of these functions throws std::bad_alloc if memory is missing.
// I/O thread only.
class RequestReader {
  public:
    // The objects which the constructor gets by reference must outlive the reader.
    RequestReader(const AppConfig& config, WaitingMemory& memory, Stream& stream, const Peer& peer);

    // Waits until bytes of the next request have come. The reader holds little memory while it waits, because
    // most connections are idle most of the time. Completes with false if the client is gone or too slow.
    boost::asio::awaitable<bool> wait();

    // Reads the header up to its empty line, checks it, and sets all of `request` but its body and caller.
    // The time limit for the first header begins with the connection. The time limit for a later header
    // begins with the first byte of its request. Errors: headers_too_large, invalid_value, request_cancelled
    // (the client is gone or too slow). After an error, `request` has method, path and origin as far as they
    // are known.
    boost::asio::awaitable<result<void>> read_head(HttpRequest& request);

    // These functions describe the request whose header was read last.
    bool has_body() const { return content_length() > 0 || parser().chunked(); }
    std::uint64_t content_length() const { return parser().content_length().value_or(0); }  // 0: unknown
    unsigned version() const { return parser().get().version(); }
    bool keep_alive() const { return parser().get().keep_alive(); }

    // Reads the body of `request`, whose `caller` must be set, and charges its memory to the caller. Sends
    // "100 Continue" before if the client asks for it. Errors: payload_too_large, invalid_value,
    // request_cancelled, server_overloaded (the budget has no room for the body).
    boost::asio::awaitable<result<void>> read_body(HttpRequest& request);

    // Frees the request which was read last, of which nothing is valid then.
    void drop_request() { parser_.reset(); }

    // Returns the buffer of the bytes that were read from the stream but not used yet.
    boost::beast::flat_buffer& buffer() { return buffer_; }
    // Returns how many bytes the reader has written to the stream since the connection was opened.
    std::uint64_t num_written() const { return num_written_; }

  private:
    using Parser = boost::beast::http::request_parser<RequestBody>;
    boost::asio::awaitable<result<std::string_view>> read_header_block();
    boost::asio::awaitable<void> receive_body(HttpRequest& request, boost::beast::error_code& ec);
    boost::asio::awaitable<void> parse_more(boost::beast::error_code& ec);
    boost::asio::awaitable<void> read_some(std::size_t max_size, boost::beast::error_code& ec);
    boost::asio::awaitable<void> send_continue(boost::beast::error_code& ec);
    Error read_problem(const boost::beast::error_code& ec) const;
    Error body_problem(const boost::beast::error_code& ec) const;
    void skip_empty_lines();
    std::string_view unread() const;

    const AppConfig& config_;
    WaitingMemory& memory_;
    Stream& stream_;
    const Peer peer_;
    bool is_new_ = true;             // wait() was not called yet
    bool is_header_due_ = false;     // the time limit for a header runs
    std::uint64_t num_written_ = 0;  // bytes
    boost::beast::flat_buffer buffer_;
    // May be called only from read_head() until drop_request() or wait().
    Parser& parser() { return parser_.value(); }              // NOLINT(bugprone-unchecked-optional-access)
    const Parser& parser() const { return parser_.value(); }  // NOLINT(bugprone-unchecked-optional-access)

    std::optional<Parser> parser_;
};

}  // namespace solard::server
