// A request and its answer as handlers see them, without Beast and without the socket.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/auth/access.hpp"
#include "server/config/error.hpp"
#include "server/http/input_charge.hpp"

namespace solard::server {

// The fields of a request that asks to turn its connection into a WebSocket.
struct WebSocketFields {
    std::string key;
    std::string version;
    std::string protocols;  // as received, separated by commas
};

struct HttpRequest {
    std::string method;            // "GET"
    std::string path;              // percent-decoded, without the query
    std::string query;             // after the '?', as received
    std::string content_type;      // media type only, lower case
    std::string content_encoding;  // all codings, separated by commas, lower case
    std::string host;
    OfferedKeys keys;
    std::string origin;
    std::string if_none_match;
    bool accepts_gzip = false;
    std::optional<WebSocketFields> websocket;
    std::string body;
    std::unique_ptr<InputCharge> body_charge;  // null if there is no body
    Peer peer;
    std::optional<std::uint32_t> num_retries;  // x-stainless-retry-count, which OpenAI's SDKs send
    Caller caller;
};

using HttpFields = std::vector<std::pair<std::string_view, std::string>>;

struct HttpResponse {
    unsigned status = 200;
    std::string_view content_type = "application/json";
    std::string body = {};
    HttpFields fields = {};
    std::optional<Error> error = {};  // the error that the body reports
};

// I/O thread only. An exchange lives as long as its handler runs. The handler must call either respond() or
// begin_stream(), and only once.
class HttpExchange {
  public:
    virtual ~HttpExchange() = default;
    HttpExchange(const HttpExchange&) = delete;
    HttpExchange& operator=(const HttpExchange&) = delete;

    const HttpRequest& request() const { return request_; }
    // take_body() and take_body_charge() move a part of the request out of this object, so each of them may
    // be called only once.
    std::string take_body() { return std::move(request_.body); }
    std::unique_ptr<InputCharge> take_body_charge() { return std::move(request_.body_charge); }
    const std::string& id() const { return id_; }  // "req_...", sent as x-request-id
    virtual boost::asio::any_io_executor executor() = 0;
    bool header_sent() const { return header_sent_; }

    // Sends a whole answer. All functions that send throw system_error if the client is gone.
    virtual boost::asio::awaitable<void> respond(HttpResponse response) = 0;
    // Begins an answer with status 200 whose body is sent in pieces. Sends its header and the first piece in
    // one write. The answer to HEAD gets no piece.
    virtual boost::asio::awaitable<void> begin_stream(std::string_view content_type,
                                                      std::string_view first) = 0;
    // Sends one piece in one write. The piece must not be empty.
    virtual boost::asio::awaitable<void> write(std::string_view piece) = 0;
    // Sends the end of the body.
    virtual boost::asio::awaitable<void> end_stream() = 0;
    // Counts an error that is reported inside a stream. An error in HttpResponse is counted by respond().
    virtual void note_error(errc code) = 0;
    // Makes the connection close without the end of the body, so that the client sees an incomplete answer.
    void abandon() { keep_alive_ = false; }

    // Says whether the answer waits on purpose. During such a wait, the server may close the connection to
    // make room for a new connection.
    virtual void set_paused(bool) {}

    // Completes when the client has closed its side of the connection. Bytes of a pipelined request that
    // arrive earlier are kept until the request is read.
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
