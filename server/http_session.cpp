// Decides what becomes of each request. server/http/request_reader reads it, and server/http/http1_exchange
// writes the answer.
#include "server/http_session.hpp"

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <new>
#include <optional>
#include <utility>
#include <variant>

#include "server/config/shown.hpp"
#include "server/http/error_response.hpp"
#include "server/http/http1_exchange.hpp"
#include "server/http/request_reader.hpp"
#include "server/observe/log.hpp"
#include "server/routes.hpp"
#include "server/ws/handshake.hpp"
#include "server/ws/session.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;
using asio::use_awaitable;
using boost::system::error_code;

// The answer to a request if memory is missing and nothing else was sent.
constexpr std::string_view internal_error_answer =
    "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    R"({"error":{"object":"error","message":"An internal error occurred. Retry the request; if it fails again, tell the )"
    R"(operator of the server.","type":"server_error","param":null,"code":"server_error"}})";

// A request that could not be read, or whose body is not read because the answer does not depend on the body.
// `head` has what is known of the request: the answer has CORS headers, and the log names method and path.
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
          reader_(app.config, app.state.waiting_memory, stream_, peer) {}

    // Serves until the connection ends. Completes with the upgrade if the connection is to become a
    // WebSocket.
    asio::awaitable<std::optional<WsUpgrade>> run() {
        std::optional<WsUpgrade> upgrade;
        for (bool more = true; more; stream_.set_phase(Stream::Phase::idle)) {
            const std::uint64_t num_sent_before = num_sent();
            bool out_of_memory = false;
            try {
                auto waiting = reader_.wait();
                more = co_await std::move(waiting);
                if (more) {
                    auto serving = serve_one(upgrade);
                    more = co_await std::move(serving);
                }
            } catch (const std::bad_alloc&) {
                out_of_memory = true;
                more = false;
                reader_.drop_request();  // no account pays for its body any more
            }
            if (upgrade) co_return upgrade;
            if (out_of_memory && num_sent() == num_sent_before) co_await send_internal_error();
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
        auto reading = receive();
        auto received = co_await std::move(reading);
        if (auto* accepted = std::get_if<WsUpgrade>(&received)) {
            log(LogLevel::info, accepted->request_id + " GET " + accepted->path + " 101");
            app_.state.metrics.http_answer(101);
            upgrade = std::move(*accepted);
        } else if (auto* routed = std::get_if<RoutedRequest>(&received)) {
            auto answering = answer(std::move(*routed));
            co_return co_await std::move(answering);
        } else if (auto* refusal = std::get_if<Refusal>(&received)) {
            auto refusing = send_refusal(std::move(*refusal));
            co_await std::move(refusing);
        }
        co_return false;
    }

    // Answers the request. Completes with true if the connection can carry another request.
    asio::awaitable<bool> answer(RoutedRequest routed) {
        const auto begin = std::chrono::steady_clock::now();
        Http1Exchange exchange(app_.config, app_.gate, app_.state, stream_, reader_.buffer(),
                               std::move(routed.request), reader_.version(),
                               reader_.keep_alive() && !over_limit_);
        co_await dispatch(app_, exchange, routed.match);
        log_access(exchange, std::chrono::steady_clock::now() - begin);
        co_return exchange.keep_alive();
    }

    // Reads one request. Access, limits and a WebSocket upgrade are checked before the body is read.
    asio::awaitable<Received> receive() {
        HttpRequest request;
        auto reading = reader_.read_head(request);
        const auto read = co_await std::move(reading);
        request.caller.owner = peer_.network;  // until the caller is known
        if (!read) co_return refuse(std::move(request), read.error());
        RouteMatch match = find_route(request);
        if (const WebSocketFields* const fields = upgrade_fields(match, request)) {
            auto upgrade = begin_upgrade(request, match, *fields);
            if (!upgrade) co_return refuse(std::move(request), upgrade.error());
            stream_.set_phase(Stream::Phase::busy);
            co_return *std::move(upgrade);
        }
        const auto caller =
            app_.gate.check_access({.host = request.host, .keys = request.keys, .peer = peer_}, match.access);
        if (!caller) co_return refuse(std::move(request), caller.error());
        if (auto allowed = check_connection_limit(match); !allowed)
            co_return refuse(std::move(request), allowed.error());
        if (auto response = answer_before_body(request, match)) {
            Refusal refusal{std::move(request), *std::move(response)};
            co_return refusal;
        }
        request.caller = *caller;
        request.caller.num_retries = request.num_retries;
        auto receiving = reader_.read_body(request);
        if (auto received = co_await std::move(receiving); !received)
            co_return refuse(std::move(request), received.error());
        stream_.set_phase(Stream::Phase::busy);  // before this, the stream may be closed to make room
        RoutedRequest routed{std::move(request), std::move(match)};
        co_return routed;
    }

    // At the connection limit, a request with a body is refused even if its route has AtLimit::answered. A
    // client that sends a body slowly would otherwise keep a reserved place.
    result<void> check_connection_limit(const RouteMatch& match) const {
        const bool is_answered = match.route != nullptr && match.route->at_limit == AtLimit::answered;
        if (!over_limit_ || (is_answered && !reader_.has_body())) return {};
        return Error{errc::server_overloaded,
                     "The server has reached its connection limit; try again later."};
    }

    // A client must not be able to upload a body to a path that does not exist.
    std::optional<HttpResponse> answer_before_body(const HttpRequest& request,
                                                   const RouteMatch& match) const {
        if (!reader_.has_body()) return std::nullopt;
        return answer_without_handler(app_.gate, request, match, reader_.content_length());
    }

    result<WsUpgrade> begin_upgrade(const HttpRequest& request, const RouteMatch& match,
                                    const WebSocketFields& fields) {
        auto upgrade = check_upgrade(app_.gate, app_.generation.engine, app_.state, request, fields);
        if (!upgrade) return upgrade.error();
        if (auto allowed = check_connection_limit(match); !allowed) return allowed.error();
        // A client must send nothing more until the server has answered (RFC 6455, section 4.1).
        if (reader_.has_body() || reader_.buffer().size() > 0)
            return Error{errc::invalid_value, "A request to open a WebSocket must not have a body."};
        upgrade->request_id = make_request_id();
        return upgrade;
    }

    // Returns the number of bytes of answers which were sent.
    std::uint64_t num_sent() const { return stream_.num_written() - reader_.num_written(); }

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
        Http1Exchange exchange(app_.config, app_.gate, app_.state, stream_, reader_.buffer(),
                               std::move(refusal.head), 11, false);
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
        const auto known = [](const std::string& text) { return text.empty() ? "-" : shown(text); };
        const auto& request = exchange.request();
        log(LogLevel::info, exchange.id() + " " + known(request.method) + " " + known(request.path) + " " +
                                (exchange.header_sent() ? std::to_string(exchange.status()) : "client gone") +
                                " " + std::to_string(millis) + " ms");
    }

    App& app_;
    Stream stream_;
    const bool over_limit_;
    const Peer peer_;
    RequestReader reader_;
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
