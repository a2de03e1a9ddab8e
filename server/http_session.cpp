// The one translation unit that instantiates Beast's HTTP reading and writing.
#include "server/http_session.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_cat.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>
#include <sstream>

#include "server/app.hpp"
#include "server/config/random_bits.hpp"
#include "server/http/exchange.hpp"
#include "server/http/head.hpp"
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

constexpr std::string_view page_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'";

std::string make_request_id() {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "req_%016llx", static_cast<unsigned long long>(random_bits()));
    return text.data();
}

class SessionExchange final : public HttpExchange {
  public:
    SessionExchange(App& app, Stream& stream, beast::flat_buffer& buffer, HttpRequest request,
                    unsigned version, bool keep_alive)
        : HttpExchange(std::move(request), make_request_id()),
          app_(app),
          stream_(stream),
          buffer_(buffer),
          version_(version) {
        keep_alive_ = keep_alive;
    }

    asio::any_io_executor executor() override { return stream_.get_executor(); }
    bool keep_alive() const {
        const auto state = app_.engine.state();
        return keep_alive_ && (state == ServiceState::starting || state == ServiceState::ready);
    }
    unsigned status() const { return status_; }

    asio::awaitable<void> respond(HttpResponse response) override {
        http::response<http::string_body> message(http::int_to_status(response.status), version_);
        fill_header(message, response.content_type);
        for (const auto& [name, value] : response.fields) message.set(name, value);
        if (response.status != 204 && response.status != 304) message.content_length(response.body.size());
        if (request_.method != "HEAD") message.body() = std::move(response.body);
        header_sent_ = true;
        status_ = response.status;
        app_.metrics.http_answer(response.status);
        if (response.error) app_.metrics.error(*response.error);
        stream_.expires_without_progress(app_.config.write_timeout);
        co_await http::async_write(stream_, message, use_awaitable);
        stream_.expires_never();
    }

    asio::awaitable<void> begin_stream(std::string_view content_type, std::string_view first) override {
        http::response<http::empty_body> message(http::status::ok, version_);
        fill_header(message, content_type);
        message.set(http::field::cache_control, "no-cache");
        message.set("X-Accel-Buffering", "no");  // proxies of the nginx family would hold tokens back
        chunked_ = version_ == 11;
        if (chunked_) {
            message.chunked(true);
        } else {
            keep_alive_ = false;  // HTTP/1.0: the end of the connection is the end of the body
            message.keep_alive(false);
        }
        header_sent_ = true;
        status_ = 200;
        app_.metrics.http_answer(200);
        std::ostringstream head;
        head << message.base();
        const std::string header = head.str();
        const asio::const_buffer body(first.data(), first.size());
        stream_.expires_without_progress(app_.config.write_timeout);
        if (chunked_) {
            const auto bytes = beast::buffers_cat(asio::buffer(header), http::make_chunk(body));
            co_await asio::async_write(stream_, bytes, use_awaitable);
        } else {
            const std::array<asio::const_buffer, 2> bytes{asio::buffer(header), body};
            co_await asio::async_write(stream_, bytes, use_awaitable);
        }
        stream_.expires_never();
    }

    asio::awaitable<void> write(std::string_view piece) override {
        const asio::const_buffer data(piece.data(), piece.size());
        stream_.expires_without_progress(app_.config.write_timeout);
        if (chunked_) {
            const auto chunk = http::make_chunk(data);
            co_await asio::async_write(stream_, chunk, use_awaitable);
        } else {
            co_await asio::async_write(stream_, data, use_awaitable);
        }
        stream_.expires_never();
    }

    asio::awaitable<void> end_stream() override {
        if (!chunked_) co_return;
        stream_.expires_without_progress(app_.config.write_timeout);
        const auto last = http::make_chunk_last();
        co_await asio::async_write(stream_, last, use_awaitable);
        stream_.expires_never();
    }

    void note_error(errc code) override { app_.metrics.error(code); }

    asio::awaitable<void> client_gone() override {
        for (;;) {
            const std::size_t room = buffer_.max_size() - buffer_.size();
            if (room == 0) {
                // A client that pipelines more than the buffer holds waits; its death shows at the next
                // write.
                asio::steady_timer never(stream_.get_executor(), asio::steady_timer::time_point::max());
                co_await never.async_wait(use_awaitable);
            }
            error_code ec;
            const auto space = buffer_.prepare(std::min<std::size_t>(room, 1024));
            const std::size_t size =
                co_await stream_.async_read_some(space, asio::redirect_error(use_awaitable, ec));
            buffer_.commit(size);
            // Aborted on an open stream: the answer was complete first.
            if (ec && (ec != asio::error::operation_aborted || !stream_.is_open())) keep_alive_ = false;
            if (ec) co_return;
        }
    }

  private:
    template <class Message>
    void fill_header(Message& message, std::string_view content_type) {
        message.set(http::field::content_type, content_type);
        message.set("x-request-id", id_);
        message.set("X-Content-Type-Options", "nosniff");
        if (!app_.config.allowed_origins.empty()) message.set(http::field::vary, "Origin");
        if (is_allowed_origin(app_, request_.origin)) {
            message.set(http::field::access_control_allow_origin, request_.origin);
            message.set(http::field::access_control_expose_headers,
                        "x-request-id, Retry-After, retry-after-ms, x-should-retry");
        }
        if (content_type.starts_with("text/html")) {
            message.set("Content-Security-Policy", page_policy);
            message.set("Referrer-Policy", "no-referrer");
            message.set("Cross-Origin-Opener-Policy", "same-origin");
        }
        keep_alive_ = keep_alive();
        message.keep_alive(keep_alive_);
    }

    App& app_;
    Stream& stream_;
    beast::flat_buffer& buffer_;
    unsigned version_;
    bool chunked_ = false;
};

using Parser = http::request_parser<http::string_body>;

// What can be said about a request that could not be read; request_cancelled if the client is simply gone.
Error read_problem(error_code ec) {
    if (ec == http::error::header_limit)
        return {errc::headers_too_large, "The header block is larger than the server takes."};
    if (ec == http::error::body_limit)
        return {errc::payload_too_large, "The body is larger than the server takes."};
    const bool is_http = ec.category() == make_error_code(http::error::bad_version).category();
    if (is_http && ec != http::error::end_of_stream && ec != http::error::partial_message)
        return {errc::invalid_value, "The request is not valid HTTP/1.1: " + ec.message() + "."};
    return {errc::request_cancelled, "The client is gone."};
}

class Session {
  public:
    Session(App& app, Stream stream, bool turned_away)
        : app_(app),
          stream_(std::move(stream)),
          turned_away_(turned_away),
          // One block: a header, and what was pipelined behind it while an answer was streaming.
          buffer_(static_cast<std::size_t>(app.config.max_header_size) + 4096) {}

    // Gives what the connection is to become if it is to be a WebSocket; otherwise it is closed.
    asio::awaitable<std::optional<WsUpgrade>> run() {
        // No co_await in a condition: g++ 12 destroys its temporary wrongly there.
        for (bool more = true; more; stream_.set_idle(!upgrade_)) more = co_await serve_one();
        if (upgrade_) co_return std::move(upgrade_);
        stream_.shutdown_send();
        stream_.close();
        co_return std::nullopt;
    }

  private:
    // True when the connection can carry another request.
    asio::awaitable<bool> serve_one() {
        Parser parser;
        parser.header_limit(static_cast<std::uint32_t>(app_.config.max_header_size));
        parser.body_limit(static_cast<std::uint64_t>(app_.config.max_body_size));
        HttpRequest request;
        auto readable = co_await read_request(parser, request);
        if (!readable && readable.error().code != errc::request_cancelled) {
            auto refusal = refuse(std::move(request), std::move(readable).error());
            co_await std::move(refusal);
            co_return false;
        }
        if (!readable) co_return false;
        if (upgrade_) {
            log(LogLevel::info, upgrade_->request_id + " GET " + request.path + " 101");
            app_.metrics.http_answer(101);
            co_return false;
        }
        const auto begin = std::chrono::steady_clock::now();
        SessionExchange exchange(app_, stream_, buffer_, std::move(request), parser.get().version(),
                                 parser.get().keep_alive());
        co_await dispatch(app_, exchange);
        log_access(exchange, std::chrono::steady_clock::now() - begin);
        co_return exchange.keep_alive();
    }

    // Fills `request` as far as it came. Errors: request_cancelled where the client is gone, and there is
    // nobody to tell anything.
    asio::awaitable<result<void>> read_request(Parser& parser, HttpRequest& request) {
        auto block = co_await read_header_block();
        if (!block) co_return block.error();
        error_code ec;
        const auto size = parser.put(asio::buffer(block->data(), block->size()), ec);
        buffer_.consume(size);
        if (ec) co_return read_problem(ec);
        request = plain_head(parser.get(), connection_);
        if (parser.content_length().value_or(0) > static_cast<std::uint64_t>(app_.config.max_body_size))
            co_return read_problem(http::error::body_limit);
        if (request.websocket && request.path == "/v1/responses")
            co_return begin_upgrade(parser, request, *request.websocket);
        const auto caller = check_access(app_, request, access_of(request));
        if (!caller) co_return caller.error();
        if (auto room = check_room(); !room) co_return room.error();
        request.caller = *caller;
        co_await read_body(parser, ec);
        if (ec) co_return read_problem(ec);
        request.body = std::move(parser.get().body());
        const result<void> read;  // named: g++ 12's sanitizers warn of the temporary
        co_return read;
    }

    result<void> check_room() const {
        if (!turned_away_) return {};
        return Error{errc::server_overloaded, "The server has as many connections as it takes."};
    }

    result<void> begin_upgrade(const Parser& parser, const HttpRequest& request,
                               const WebSocketFields& fields) {
        auto upgrade = check_upgrade(app_, request, fields);
        if (!upgrade) return upgrade.error();
        if (auto room = check_room(); !room) return room.error();
        // A client says nothing before it was answered (RFC 6455, section 4.1).
        if (parser.content_length().value_or(0) > 0 || parser.chunked() || buffer_.size() > 0)
            return Error{errc::invalid_value, "A request to open a socket has no body."};
        upgrade_ = *std::move(upgrade);
        upgrade_->request_id = make_request_id();
        return {};
    }

    // What is in the buffer up to the empty line, within limits of size and time, and found to be sound.
    // Valid until the buffer is consumed.
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
                stream_.expires_after(app_.config.header_timeout);  // for all of it, however it drips
            }
            const std::string_view read = unread();
            const auto end = read.find(end_of_block, searched);
            if (std::min(end, read.size()) > limit) co_return read_problem(http::error::header_limit);
            if (end != std::string_view::npos) {
                const std::string_view block = read.substr(0, end + end_of_block.size());
                if (auto sound = check_header_block(block); !sound) co_return sound.error();
                co_return block;
            }
            searched = read.size() - std::min(read.size(), end_of_block.size() - 1);
            const auto space =
                buffer_.prepare(std::min<std::size_t>(4096, buffer_.max_size() - buffer_.size()));
            error_code ec;
            const std::size_t size =
                co_await stream_.async_read_some(space, asio::redirect_error(use_awaitable, ec));
            buffer_.commit(size);
            if (ec) co_return read_problem(ec);
        }
    }

    // Before a request line (RFC 9112, section 2.2).
    void skip_empty_lines() {
        while (unread().starts_with("\r\n")) buffer_.consume(2);
    }

    std::string_view unread() const {
        return {static_cast<const char*>(buffer_.cdata().data()), buffer_.size()};
    }

    asio::awaitable<void> read_body(Parser& parser, error_code& ec) {
        stream_.expires_after(app_.config.body_timeout);
        if (!parser.is_done() && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
            constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
            co_await asio::async_write(stream_, asio::buffer(go_on), asio::redirect_error(use_awaitable, ec));
            if (ec) co_return;
        }
        // Nobody needs either, and parsers differ about both.
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

    // The last answer of a connection whose request was not read to its end.
    asio::awaitable<void> refuse(HttpRequest request, Error error) {
        SessionExchange exchange(app_, stream_, buffer_, std::move(request), 11, false);
        auto response = error_response(error);
        co_await exchange.respond(std::move(response));
        log_access(exchange, {});
        co_await discard_input();
    }

    // Closing with unread input would reset the connection and could take the answer with it.
    asio::awaitable<void> discard_input() {
        stream_.shutdown_send();
        stream_.expires_after(std::chrono::seconds(2));
        std::array<char, 4096> sink{};
        error_code ec;
        while (!ec) {
            co_await stream_.async_read_some(asio::buffer(sink), asio::redirect_error(use_awaitable, ec));
        }
    }

    static void log_access(const SessionExchange& exchange, std::chrono::steady_clock::duration took) {
        if (!log_enabled(LogLevel::info)) return;
        const auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(took).count();
        const auto& request = exchange.request();
        log(LogLevel::info, exchange.id() + " " + request.method + " " + request.path.substr(0, 200) + " " +
                                (exchange.header_sent() ? std::to_string(exchange.status()) : "client gone") +
                                " " + std::to_string(millis) + " ms");
    }

    static inline std::uint64_t num_connections_ = 0;  // ever

    App& app_;
    Stream stream_;
    const bool turned_away_;
    beast::flat_buffer buffer_;
    const std::uint64_t connection_ = ++num_connections_;
    std::optional<WsUpgrade> upgrade_;
};

}  // namespace

asio::awaitable<void> run_http_session(App* app, Stream stream, bool turned_away) {
    std::optional<WsUpgrade> upgrade;
    {
        Session session(*app, stream, turned_away);
        try {
            upgrade = co_await session.run();
        } catch (const boost::system::system_error& gone) {
            log(LogLevel::debug, std::string("connection ended: ") + gone.what());
        }
    }
    if (!upgrade) co_return;
    auto socket = run_ws_session(app, std::move(stream), *std::move(upgrade));
    co_await std::move(socket);
}

}  // namespace solard::server
