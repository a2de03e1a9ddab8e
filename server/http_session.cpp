// Reads requests with Beast. server/http/http1_exchange writes the answers.
#include "server/http_session.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <variant>

#include "server/config/shown.hpp"
#include "server/http/error_response.hpp"
#include "server/http/head.hpp"
#include "server/http/http1_exchange.hpp"
#include "server/http/request_body.hpp"
#include "server/http/smuggling_rules.hpp"
#include "server/observe/heap_bytes.hpp"
#include "server/observe/log.hpp"
#include "server/routes.hpp"
#include "server/ws/handshake.hpp"
#include "server/ws/session.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::use_awaitable;
using beast::error_code;

using Parser = http::request_parser<RequestBody>;

// The answer to a request if memory is missing and nothing else was sent.
constexpr std::string_view internal_error_answer =
    "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    R"({"error":{"object":"error","message":"An internal error occurred. Retry the request; if it fails again, tell the )"
    R"(operator of the server.","type":"server_error","param":null,"code":"server_error"}})";

// Returns the error for a request that could not be read; request_cancelled if the client is gone.
Error read_problem(error_code ec, const AppConfig& config) {
    if (ec == http::error::header_limit)
        return {errc::headers_too_large, "The header block is larger than the limit of " +
                                             std::to_string(config.max_header_size) +
                                             " bytes; send fewer or shorter header fields."};
    if (ec == http::error::body_limit)
        return {errc::payload_too_large,
                "The body is larger than " + std::to_string(config.max_body_size) + " bytes."};
    const bool is_http = ec.category() == make_error_code(http::error::bad_version).category();
    if (is_http && ec != http::error::end_of_stream && ec != http::error::partial_message)
        return {errc::invalid_value, "The request is not valid HTTP/1.1: " + ec.message() + "."};
    return {errc::request_cancelled, "The client is gone."};
}

// A request that could not be read, or whose body is not read because the answer does not depend on the body.
// `head` is empty if the header could not be read.
struct Refusal {
    HttpRequest head;
    HttpResponse response;
};
struct ClientGone {};

// A whole request and the route that it takes.
struct RoutedRequest {
    HttpRequest request;
    RouteMatch match;
};

// The result of reading from the connection: a request to answer, an upgrade to a WebSocket, a request to
// refuse, or the end of the connection.
using Received = std::variant<RoutedRequest, WsUpgrade, Refusal, ClientGone>;

Received refuse(HttpRequest head, const Error& error) {
    if (error.code == errc::request_cancelled) return ClientGone{};
    return Refusal{std::move(head), error_response(error)};
}

class Session {
  public:
    Session(App& app, Stream stream, const Peer& peer, bool over_limit)
        : app_(app),
          stream_(std::move(stream)),
          over_limit_(over_limit),
          peer_(peer),
          // The buffer has room for a header, and for the requests which a client pipelines while an answer
          // is streamed.
          buffer_(static_cast<std::size_t>(app.config.max_header_size) + 4096) {}

    // Serves until the connection ends. Completes with the upgrade if the connection is to become a
    // WebSocket.
    asio::awaitable<std::optional<WsUpgrade>> run() {
        std::optional<WsUpgrade> upgrade;
        for (bool more = true; more; stream_.set_phase(Stream::Phase::idle)) {
            num_written_before_answer_ = stream_.num_written();
            bool out_of_memory = false;
            try {
                auto serving = serve_one(upgrade);
                more = co_await std::move(serving);
            } catch (const std::bad_alloc&) {
                out_of_memory = true;
                more = false;
            }
            if (upgrade) co_return upgrade;
            if (out_of_memory && stream_.num_written() == num_written_before_answer_)
                co_await send_internal_error();
        }
        stream_.shutdown_send();
        stream_.close();
        co_return std::nullopt;
    }

  private:
    // Reads one request and answers it. If the request asks for a WebSocket, sets `upgrade` instead.
    // Completes with true if the connection can carry another request. Throws std::bad_alloc if there was no
    // memory for an answer.
    asio::awaitable<bool> serve_one(std::optional<WsUpgrade>& upgrade) {
        Parser parser;
        auto reading = receive(parser);
        auto received = co_await std::move(reading);
        if (auto* accepted = std::get_if<WsUpgrade>(&received)) {
            log(LogLevel::info, accepted->request_id + " GET " + accepted->path + " 101");
            app_.state.metrics.http_answer(101);
            upgrade = std::move(*accepted);
        } else if (auto* routed = std::get_if<RoutedRequest>(&received)) {
            auto answering = answer(std::move(*routed), parser);
            co_return co_await std::move(answering);
        } else if (auto* refusal = std::get_if<Refusal>(&received)) {
            auto refusing = send_refusal(std::move(*refusal));
            co_await std::move(refusing);
        }
        co_return false;
    }

    // Answers the request. Completes with true if the connection can carry another request.
    asio::awaitable<bool> answer(RoutedRequest routed, const Parser& parser) {
        const auto begin = std::chrono::steady_clock::now();
        Http1Exchange exchange(app_.config, app_.gate, app_.state, stream_, buffer_,
                               std::move(routed.request), parser.get().version(),
                               parser.get().keep_alive() && !over_limit_);
        co_await dispatch(app_, exchange, routed.match);
        log_access(exchange, std::chrono::steady_clock::now() - begin);
        co_return exchange.keep_alive();
    }

    // Reads one request. Access, limits and a WebSocket upgrade are checked before the body is read.
    asio::awaitable<Received> receive(Parser& parser) {
        parser.header_limit(static_cast<std::uint32_t>(app_.config.max_header_size));
        parser.body_limit(static_cast<std::uint64_t>(app_.config.max_body_size));
        auto reading = read_header_block();
        auto block = co_await std::move(reading);
        if (!block) co_return refuse({}, block.error());
        error_code ec;
        const auto size = parser.put(asio::buffer(block->data(), block->size()), ec);
        buffer_.consume(size);
        if (ec) co_return refuse({}, read_problem(ec, app_.config));
        HttpRequest request = plain_head(parser.get(), peer_);
        request.caller.owner = peer_.network;  // until the caller is known
        if (parser.content_length().value_or(0) > static_cast<std::uint64_t>(app_.config.max_body_size))
            co_return refuse(std::move(request), read_problem(http::error::body_limit, app_.config));
        RouteMatch match = find_route(request);
        if (const WebSocketFields* const fields = upgrade_fields(match, request)) {
            auto upgrade = begin_upgrade(parser, request, match, *fields);
            if (!upgrade) co_return refuse(std::move(request), upgrade.error());
            stream_.set_phase(Stream::Phase::busy);
            co_return *std::move(upgrade);
        }
        const auto caller = app_.gate.check_access(
            {.host = request.host, .authorization = request.authorization, .peer = peer_}, match.access);
        if (!caller) co_return refuse(std::move(request), caller.error());
        if (auto allowed = check_connection_limit(match, has_body(parser)); !allowed)
            co_return refuse(std::move(request), allowed.error());
        if (auto response = answer_before_body(parser, request, match)) {
            Refusal refusal{std::move(request), *std::move(response)};
            co_return refusal;
        }
        request.caller = *caller;
        request.caller.num_retries = request.num_retries;
        co_await read_body(parser, request, ec);
        if (request.body_charge && request.body_charge->is_refused()) {
            release(parser.get().body());
            co_return refuse(std::move(request), no_waiting_memory());
        }
        if (ec) co_return refuse(std::move(request), read_problem(ec, app_.config));
        request.body = std::move(parser.get().body());
        stream_.set_phase(Stream::Phase::busy);  // before this, the stream may be closed to make room
        RoutedRequest routed{std::move(request), std::move(match)};
        co_return routed;
    }

    static bool has_body(const Parser& parser) {
        return parser.content_length().value_or(0) > 0 || parser.chunked();
    }

    // At the connection limit, a request with a body is refused even if its route has AtLimit::answered. A
    // client that sends a body slowly would otherwise keep a reserved place.
    result<void> check_connection_limit(const RouteMatch& match, bool has_body) const {
        const bool is_answered = match.route != nullptr && match.route->at_limit == AtLimit::answered;
        if (!over_limit_ || (is_answered && !has_body)) return {};
        return Error{errc::server_overloaded,
                     "The server has reached its connection limit; try again later."};
    }

    // A client must not be able to upload a body to a path that does not exist.
    std::optional<HttpResponse> answer_before_body(const Parser& parser, const HttpRequest& request,
                                                   const RouteMatch& match) const {
        if (!has_body(parser)) return std::nullopt;
        return answer_without_handler(app_.gate, request, match, parser.content_length().value_or(0));
    }

    result<WsUpgrade> begin_upgrade(const Parser& parser, const HttpRequest& request, const RouteMatch& match,
                                    const WebSocketFields& fields) {
        auto upgrade = check_upgrade(app_.gate, app_.generation.engine, app_.state, request, fields);
        if (!upgrade) return upgrade.error();
        if (auto allowed = check_connection_limit(match, has_body(parser)); !allowed) return allowed.error();
        // A client must send nothing more until the server has answered (RFC 6455, section 4.1).
        if (has_body(parser) || buffer_.size() > 0)
            return Error{errc::invalid_value, "A request to open a WebSocket must not have a body."};
        upgrade->request_id = make_request_id();
        return upgrade;
    }

    // Reads the header up to its empty line, within limits of size and time, and checks it. The time limit
    // for the first header begins with the connection. The time limit for a later header begins with the
    // first byte of its request. The result is valid until the buffer is consumed.
    asio::awaitable<result<std::string_view>> read_header_block() {
        constexpr std::string_view end_of_block = "\r\n\r\n";
        const auto limit = static_cast<std::size_t>(app_.config.max_header_size);
        std::size_t searched = 0;
        bool is_header_due = std::exchange(is_new_, false);
        stream_.expires_after(is_header_due ? app_.config.header_timeout : app_.config.idle_timeout);
        for (;;) {
            skip_empty_lines();
            if (!unread().empty() && unread() != "\r") {
                stream_.set_phase(Stream::Phase::interruptible);
                if (!std::exchange(is_header_due, true)) stream_.expires_after(app_.config.header_timeout);
            }
            const std::string_view read = unread();
            const auto end = read.find(end_of_block, searched);
            if (std::min(end, read.size()) > limit)
                co_return read_problem(http::error::header_limit, app_.config);
            if (end != std::string_view::npos) {
                const std::string_view block = read.substr(0, end + end_of_block.size());
                if (auto valid = check_header_block(block); !valid) co_return valid.error();
                co_return block;
            }
            searched = read.size() - std::min(read.size(), end_of_block.size() - 1);
            const auto space =
                buffer_.prepare(std::min<std::size_t>(4096, buffer_.max_size() - buffer_.size()));
            error_code ec;
            const std::size_t size =
                co_await stream_.async_read_some(space, asio::redirect_error(use_awaitable, ec));
            buffer_.commit(size);
            if (ec) co_return read_problem(ec, app_.config);
        }
    }

    // Empty lines before a request line are ignored (RFC 9112, section 2.2).
    void skip_empty_lines() {
        while (unread().starts_with("\r\n")) buffer_.consume(2);
    }

    std::string_view unread() const {
        return {static_cast<const char*>(buffer_.cdata().data()), buffer_.size()};
    }

    // Reads the body and charges its memory. If the charge is refused, `ec` is operation_aborted.
    asio::awaitable<void> read_body(Parser& parser, HttpRequest& request, error_code& ec) {
        stream_.expires_after(app_.config.body_timeout);
        if (!parser.is_done() && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
            constexpr std::string_view continue_response = "HTTP/1.1 100 Continue\r\n\r\n";
            co_await asio::async_write(stream_, asio::buffer(continue_response),
                                       asio::redirect_error(use_awaitable, ec));
            if (ec) co_return;
            num_written_before_answer_ = stream_.num_written();
        }
        // Chunk extensions and trailers are refused: no client needs them, and HTTP parsers do not agree on
        // how to read them.
        auto refuse_extensions = [](std::uint64_t, beast::string_view extensions, error_code& problem) {
            if (!extensions.empty()) problem = http::error::bad_chunk_extension;
        };
        parser.on_chunk_header(refuse_extensions);
        const auto num_fields = std::distance(parser.get().begin(), parser.get().end());
        if (!parser.is_done())
            request.body_charge = std::make_unique<InputCharge>(
                app_.state.waiting_memory, memory_owner(request.caller), [this] { stream_.cancel(); });
        parser.eager(true);
        while (!ec && !parser.is_done()) {
            auto parsing = parse_more(parser, ec);
            co_await std::move(parsing);
            if (!request.body_charge->resize(parser.get().body().capacity()))
                ec = asio::error::operation_aborted;
        }
        if (request.body_charge) request.body_charge->end_reading();
        const bool has_trailers = std::distance(parser.get().begin(), parser.get().end()) != num_fields;
        if (!ec && has_trailers) ec = http::error::bad_field;
        stream_.expires_never();
    }

    // Parses the bytes in the buffer. If the parser needs more bytes, reads them. Beast's own reading would
    // parse in a handler, where a failed allocation could not be answered. Throws std::bad_alloc if there is
    // no memory for the body.
    asio::awaitable<void> parse_more(Parser& parser, error_code& ec) {
        if (buffer_.size() > 0) {
            buffer_.consume(parser.put(buffer_.cdata(), ec));
            if (ec != http::error::need_more) co_return;
            ec = {};
        }
        const std::size_t capacity = buffer_.max_size() - buffer_.size();
        if (capacity == 0) ec = http::error::bad_chunk;  // the header of a chunk is too long
        if (ec) co_return;
        const auto space = buffer_.prepare(std::min<std::size_t>(capacity, 64 << 10));
        const std::size_t size =
            co_await stream_.async_read_some(space, asio::redirect_error(use_awaitable, ec));
        buffer_.commit(size);
        if (ec == asio::error::eof) ec = http::error::partial_message;
    }

    asio::awaitable<void> send_internal_error() {
        co_await asio::async_write(stream_, asio::buffer(internal_error_answer), use_awaitable);
        app_.state.metrics.http_answer(500);
        app_.state.metrics.error(errc::server_error);
        log(LogLevel::error, "a request was answered with 500 because memory is missing");
        co_await discard_input();
    }

    // Sends the error answer. It is the connection's last answer, because the request may not have been read
    // to its end.
    asio::awaitable<void> send_refusal(Refusal refusal) {
        stream_.set_phase(Stream::Phase::busy);
        stream_.expires_never();  // the write timeout is the only limit for the answer
        Http1Exchange exchange(app_.config, app_.gate, app_.state, stream_, buffer_, std::move(refusal.head),
                               11, false);
        co_await exchange.respond(std::move(refusal.response));
        log_access(exchange, {});
        co_await discard_input();
    }

    // Reads and drops all bytes that the client still sends. Closing with unread input would reset the
    // connection, and the client could lose the answer.
    asio::awaitable<void> discard_input() {
        stream_.shutdown_send();
        stream_.set_phase(Stream::Phase::interruptible);
        stream_.expires_after(std::chrono::seconds(2));
        std::array<char, 4096> sink{};
        error_code ec;
        while (!ec) {
            co_await stream_.async_read_some(asio::buffer(sink), asio::redirect_error(use_awaitable, ec));
        }
    }

    static void log_access(const Http1Exchange& exchange, std::chrono::steady_clock::duration took) {
        if (!log_enabled(LogLevel::info)) return;
        const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
        const auto& request = exchange.request();
        log(LogLevel::info, exchange.id() + " " + shown(request.method) + " " + shown(request.path) + " " +
                                (exchange.header_sent() ? std::to_string(exchange.status()) : "client gone") +
                                " " + std::to_string(millis) + " ms");
    }

    App& app_;
    Stream stream_;
    const bool over_limit_;
    bool is_new_ = true;                           // no request was read yet
    std::uint64_t num_written_before_answer_ = 0;  // number of bytes
    const Peer peer_;
    beast::flat_buffer buffer_;
};

// The destructor tells the EngineClient that the connection has ended, so that this happens even after an
// exception.
class ConnectionEnd {
  public:
    ConnectionEnd(EngineClient& engine, const Peer& peer) : engine_(engine), peer_(peer) {}
    ConnectionEnd(const ConnectionEnd&) = delete;
    ConnectionEnd& operator=(const ConnectionEnd&) = delete;
    ~ConnectionEnd() { engine_.connection_closed(peer_); }

  private:
    EngineClient& engine_;
    const Peer peer_;
};

}  // namespace

asio::awaitable<void> run_http_session(App* app, Stream stream, bool over_limit) {
    static std::uint64_t num_connections = 0;  // since the start of the process
    const Peer peer{.connection = ++num_connections, .network = stream.peer_network()};
    const ConnectionEnd end(app->generation.engine, peer);
    std::optional<WsUpgrade> upgrade;
    {
        Session session(*app, stream, peer, over_limit);
        try {
            upgrade = co_await session.run();
        } catch (const boost::system::system_error& gone) {
            log(LogLevel::debug, std::string("connection ended: ") + gone.what());
        }
    }
    if (!upgrade) co_return;
    auto socket = run_ws_session(&app->responses, &app->state, std::move(stream), *std::move(upgrade));
    co_await std::move(socket);
}

}  // namespace solard::server
