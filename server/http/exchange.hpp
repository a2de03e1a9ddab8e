// One request and its answer, as handlers see them: no Beast, no socket.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/auth/access.hpp"
#include "server/config/error.hpp"

namespace solard::server {

// Of a request to make a WebSocket of its connection.
struct WebSocketFields {
    std::string key;
    std::string version;
    std::string protocols;  // as they came, comma-separated
};

struct HttpRequest {
    std::string method;        // "GET"
    std::string path;          // percent-decoded, without the query
    std::string query;         // after the '?', as it came
    std::string content_type;  // media type only, lower case
    std::string host;
    std::string authorization;
    std::string origin;
    std::string if_none_match;
    bool accepts_gzip = false;
    std::optional<WebSocketFields> websocket;
    std::string body;
    std::uint64_t connection = 0;  // which connection it came on; unique for the life of the process
    Caller caller;
};

using HttpFields = std::vector<std::pair<std::string_view, std::string>>;

struct HttpResponse {
    unsigned status = 200;
    std::string_view content_type = "application/json";
    std::string body = {};
    HttpFields fields = {};
    std::optional<errc> error = {};  // the code that the body carries, for the metrics
};

// I/O thread only; lives as long as its handler runs. Exactly one of respond() and begin_stream() is called,
// once.
class HttpExchange {
  public:
    virtual ~HttpExchange() = default;
    HttpExchange(const HttpExchange&) = delete;
    HttpExchange& operator=(const HttpExchange&) = delete;

    const HttpRequest& request() const { return request_; }
    const std::string& id() const { return id_; }  // "req_...", sent as x-request-id
    virtual boost::asio::any_io_executor executor() = 0;
    bool header_sent() const { return header_sent_; }

    // A whole answer. Throws system_error when the client is gone, as do all below.
    virtual boost::asio::awaitable<void> respond(HttpResponse response) = 0;
    // The header of a 200 answer whose body comes in pieces, and the first piece, in one write.
    virtual boost::asio::awaitable<void> begin_stream(std::string_view content_type,
                                                      std::string_view first) = 0;
    // One piece, one write; not empty.
    virtual boost::asio::awaitable<void> write(std::string_view piece) = 0;
    virtual boost::asio::awaitable<void> end_stream() = 0;
    // Counts an error that a stream tells; respond() counts its own.
    virtual void note_error(errc code) = 0;
    // Leaves the body unfinished, so that the client sees an error and not an end.
    void abandon() { keep_alive_ = false; }

    // Completes when the client has closed its side. Bytes of a pipelined request are kept for later.
    virtual boost::asio::awaitable<void> client_gone() = 0;

  protected:
    HttpExchange(HttpRequest request, std::string id) : request_(std::move(request)), id_(std::move(id)) {}
    HttpRequest request_;
    std::string id_;
    bool header_sent_ = false;
    bool keep_alive_ = true;
    unsigned status_ = 0;
};

}  // namespace solard::server
