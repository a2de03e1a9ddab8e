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
#include <optional>
#include <utility>
#include <variant>

#include "server/http/error_response.hpp"
#include "server/http/head.hpp"
#include "server/http/http1_exchange.hpp"
#include "server/http/smuggling_rules.hpp"
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

using Parser = http::request_parser<http::string_body>;

// Returns the error for a request that could not be read; request_cancelled if the client is gone.
Error read_problem(error_code ec, const AppConfig& config) {
    if (ec == http::error::header_limit)
        return {errc::headers_too_large,
                "The header block is larger than " + std::to_string(config.max_header_size) + " bytes."};
    if (ec == http::error::body_limit)
        return {errc::payload_too_large,
                "The body is larger than " + std::to_string(config.max_body_size) + " bytes."};
    const bool is_http = ec.category() == make_error_code(http::error::bad_version).category();
    if (is_http && ec != http::error::end_of_stream && ec != http::error::partial_message)
        return {errc::invalid_value, "The request is not valid HTTP/1.1: " + ec.message() + "."};
    return {errc::request_cancelled, "The client is gone."};
}

// A request that could not be read or is not allowed. `head` is empty if the header could not be read.
struct Refusal {
    HttpRequest head;
    Error error;
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

Received refuse(HttpRequest head, Error error) {
    if (error.code == errc::request_cancelled) return ClientGone{};
    return Refusal{std::move(head), std::move(error)};
}

class Session {
  public:
    Session(App& app, Stream stream, const Peer& peer, bool over_limit)
        : app_(app),
          stream_(std::move(stream)),
          over_limit_(over_limit),
          peer_(peer),
          // Holds a header, and the requests which a client pipelines while an answer is streamed.
          buffer_(static_cast<std::size_t>(app.config.max_header_size) + 4096) {}

    // Serves until the connection ends. Completes with the upgrade if the connection is to become a
    // WebSocket.
    asio::awaitable<std::optional<WsUpgrade>> run() {
        for (bool more = true; more; stream_.set_idle(true)) {
            Parser parser;
            auto reading = receive(parser);
            auto received = co_await std::move(reading);
            if (auto* upgrade = std::get_if<WsUpgrade>(&received)) {
                log(LogLevel::info, upgrade->request_id + " GET " + upgrade->path + " 101");
                app_.state.metrics.http_answer(101);
                co_return std::move(*upgrade);
            }
            if (auto* routed = std::get_if<RoutedRequest>(&received)) {
                auto answering = answer(std::move(*routed), parser);
                more = co_await std::move(answering);
            } else if (auto* refusal = std::get_if<Refusal>(&received)) {
                auto refusing = send_refusal(std::move(*refusal));
                co_await std::move(refusing);
                more = false;
            } else {
                more = false;
            }
        }
        stream_.shutdown_send();
        stream_.close();
        co_return std::nullopt;
    }

  private:
    // Completes with true if the connection can carry another request.
    asio::awaitable<bool> answer(RoutedRequest routed, const Parser& parser) {
        const auto begin = std::chrono::steady_clock::now();
        Http1Exchange exchange(app_.config, app_.gate, app_.state, stream_, buffer_,
                               std::move(routed.request), parser.get().version(), parser.get().keep_alive());
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
        if (parser.content_length().value_or(0) > static_cast<std::uint64_t>(app_.config.max_body_size))
            co_return refuse(std::move(request), read_problem(http::error::body_limit, app_.config));
        RouteMatch match = find_route(request);
        if (const WebSocketFields* const fields = upgrade_fields(match, request)) {
            auto upgrade = begin_upgrade(parser, request, *fields);
            if (!upgrade) co_return refuse(std::move(request), upgrade.error());
            co_return *std::move(upgrade);
        }
        const auto caller = app_.gate.check_access(
            {.host = request.host, .authorization = request.authorization, .peer = peer_}, match.access);
        if (!caller) co_return refuse(std::move(request), caller.error());
        if (auto allowed = check_connection_limit(); !allowed)
            co_return refuse(std::move(request), allowed.error());
        request.caller = *caller;
        request.caller.num_retries = request.num_retries;
        co_await read_body(parser, ec);
        if (ec) co_return refuse(std::move(request), read_problem(ec, app_.config));
        request.body = std::move(parser.get().body());
        RoutedRequest routed{std::move(request), std::move(match)};
        co_return routed;
    }

    result<void> check_connection_limit() const {
        if (!over_limit_) return {};
        return Error{errc::server_overloaded,
                     "The server has reached its connection limit; try again later."};
    }

    result<WsUpgrade> begin_upgrade(const Parser& parser, const HttpRequest& request,
                                    const WebSocketFields& fields) {
        auto upgrade = check_upgrade(app_.gate, app_.generation.engine, app_.state, request, fields);
        if (!upgrade) return upgrade.error();
        if (auto allowed = check_connection_limit(); !allowed) return allowed.error();
        // A client must send nothing more until the server has answered (RFC 6455, section 4.1).
        if (parser.content_length().value_or(0) > 0 || parser.chunked() || buffer_.size() > 0)
            return Error{errc::invalid_value, "A request to open a WebSocket must not have a body."};
        upgrade->request_id = make_request_id();
        return upgrade;
    }

    // Reads the header up to its empty line, within limits of size and time, and checks it. The result is
    // valid until the buffer is consumed.
    asio::awaitable<result<std::string_view>> read_header_block() {
        constexpr std::string_view end_of_block = "\r\n\r\n";
        const auto limit = static_cast<std::size_t>(app_.config.max_header_size);
        std::size_t searched = 0;
        stream_.expires_after(app_.config.idle_timeout);
        for (bool begun = false;;) {
            skip_empty_lines();
            if (!begun && buffer_.size() > 0) {
                begun = true;
                stream_.set_idle(false);
                stream_.expires_after(app_.config.header_timeout);  // for the whole header
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

    asio::awaitable<void> read_body(Parser& parser, error_code& ec) {
        stream_.expires_after(app_.config.body_timeout);
        if (!parser.is_done() && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
            constexpr std::string_view continue_response = "HTTP/1.1 100 Continue\r\n\r\n";
            co_await asio::async_write(stream_, asio::buffer(continue_response),
                                       asio::redirect_error(use_awaitable, ec));
            if (ec) co_return;
        }
        // Chunk extensions and trailers are refused: no client needs them, and parsers disagree about both.
        auto refuse_extensions = [](std::uint64_t, beast::string_view extensions, error_code& problem) {
            if (!extensions.empty()) problem = http::error::bad_chunk_extension;
        };
        parser.on_chunk_header(refuse_extensions);
        const auto num_fields = std::distance(parser.get().begin(), parser.get().end());
        co_await http::async_read(stream_, buffer_, parser, asio::redirect_error(use_awaitable, ec));
        const bool has_trailers = std::distance(parser.get().begin(), parser.get().end()) != num_fields;
        if (!ec && has_trailers) ec = http::error::bad_field;
        stream_.expires_never();
    }

    // Sends the error answer. It is the connection's last answer, because the request may not have been read
    // to its end.
    asio::awaitable<void> send_refusal(Refusal refusal) {
        Http1Exchange exchange(app_.config, app_.gate, app_.state, stream_, buffer_, std::move(refusal.head),
                               11, false);
        auto response = error_response(refusal.error);
        co_await exchange.respond(std::move(response));
        log_access(exchange, {});
        co_await discard_input();
    }

    // Reads and drops what the client still sends. Closing with unread input would reset the connection, and
    // the client could lose the answer.
    asio::awaitable<void> discard_input() {
        stream_.shutdown_send();
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
        log(LogLevel::info, exchange.id() + " " + request.method + " " + request.path.substr(0, 200) + " " +
                                (exchange.header_sent() ? std::to_string(exchange.status()) : "client gone") +
                                " " + std::to_string(millis) + " ms");
    }

    App& app_;
    Stream stream_;
    const bool over_limit_;
    const Peer peer_;
    beast::flat_buffer buffer_;
};

// Tells the engine's client when the connection has ended, however that happens.
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
