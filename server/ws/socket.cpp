// The one translation unit that instantiates Beast's WebSocket.
#include "server/ws/socket.hpp"

#include <array>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <chrono>
#include <new>
#include <utility>

#include "server/ws/fragment_counter.hpp"

namespace solard::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using asio::use_awaitable;
using beast::error_code;

namespace {

constexpr std::chrono::seconds close_limit{10};    // for the client's part of the closing handshake
constexpr std::chrono::seconds teardown_limit{2};  // after that, for the end of the client's TCP stream
constexpr std::size_t max_read_size = 64 << 10;    // bytes
constexpr std::size_t large_buffer = 4 << 10;      // bytes; a larger buffer is freed after its message

}  // namespace

// Beast finds beast_close_socket() and async_teardown() by the type of the stream below the WebSocket.

void beast_close_socket(Stream& stream) {
    stream.close();
}

// Performs the server's part of the TCP closing sequence (RFC 6455, section 7.1.1): ends the server's sending
// direction and waits until the client ends its own.
template <class TeardownHandler>
void async_teardown(beast::role_type, Stream& stream, TeardownHandler&& handler) {
    stream.shutdown_send();
    stream.expires_after(teardown_limit);
    auto sink = std::make_unique<std::array<char, 512>>();
    const auto buffer = asio::buffer(*sink);
    auto step = [&stream, buffer, sink = std::move(sink)](auto& self, error_code ec = {},
                                                          std::size_t = 0) mutable {
        if (!ec) return stream.async_read_some(buffer, std::move(self));
        stream.close();
        self.complete(ec == asio::error::eof ? error_code{} : ec);
    };
    asio::async_compose<TeardownHandler, void(error_code)>(std::move(step), handler, stream);
}

struct WsSocket::Impl {
    Impl(Stream stream, std::size_t max_message_bytes)
        : socket(std::move(stream)), buffer(max_message_bytes) {}
    websocket::stream<Stream, false> socket;
    beast::flat_buffer buffer;
    FragmentCounter fragments;
};

WsSocket::WsSocket(Stream stream, std::size_t max_message_bytes, std::function<void(Control)> on_control,
                   std::function<void()> on_too_many_fragments)
    : impl_(std::make_unique<Impl>(std::move(stream), max_message_bytes)) {
    auto& socket = impl_->socket;
    // The session handles silence, pings and slow writes, so Beast's own timeouts are off.
    socket.set_option(websocket::stream_base::timeout{.handshake_timeout = close_limit,
                                                      .idle_timeout = websocket::stream_base::none(),
                                                      .keep_alive_pings = false});
    socket.read_message_max(max_message_bytes);
    socket.auto_fragment(false);
    socket.write_buffer_bytes(8);  // unused: the server's frames are not masked or compressed
    socket.control_callback(
        [on_control = std::move(on_control)](websocket::frame_type kind, beast::string_view) {
            on_control(kind == websocket::frame_type::close ? Control::close : Control::ping_or_pong);
        });
    this->stream().observe_reads(
        [&fragments = impl_->fragments, report = std::move(on_too_many_fragments)](std::string_view bytes) {
            if (fragments.note(bytes)) report();
        });
}

WsSocket::~WsSocket() {
    stream().observe_reads({});
}

Stream& WsSocket::stream() {
    return impl_->socket.next_layer();
}

asio::awaitable<void> WsSocket::accept(Handshake handshake) {
    auto& socket = impl_->socket;
    http::request<http::empty_body> request(http::verb::get, "/", 11);
    request.set(http::field::host, "solard");
    request.set(http::field::connection, "Upgrade");
    request.set(http::field::upgrade, "websocket");
    request.set(http::field::sec_websocket_version, "13");
    request.set(http::field::sec_websocket_key, handshake.key);
    socket.set_option(websocket::stream_base::decorator([&](websocket::response_type& response) {
        if (!handshake.subprotocol.empty())
            response.set(http::field::sec_websocket_protocol, handshake.subprotocol);
        response.set("x-request-id", handshake.request_id);
        response.set(http::field::server, "solard");  // in place of Beast's own name
    }));
    co_await socket.async_accept(request, use_awaitable);
    socket.set_option(websocket::stream_base::decorator([](websocket::response_type&) {}));
}

asio::awaitable<WsSocket::Message> WsSocket::read(InputCharge& charge) {
    auto& buffer = impl_->buffer;
    error_code ec;
    do {
        // Without the limit max_read_size, the first bytes of a frame would reserve the memory of the whole
        // frame.
        co_await impl_->socket.async_read_some(buffer, max_read_size,
                                               asio::redirect_error(use_awaitable, ec));
        if (!charge.resize(buffer.capacity())) free_buffer();
    } while (!ec && !impl_->socket.is_message_done());
    if (ec) {
        free_buffer();
        stream().close();
        co_return Message{Kind::closed, {}};
    }
    const auto bytes = buffer.cdata();
    Message message{impl_->socket.got_text() ? Kind::text : Kind::binary, {}};
    try {
        message.text.assign(static_cast<const char*>(bytes.data()), bytes.size());
    } catch (const std::bad_alloc&) {
        message.kind = Kind::lost;
    }
    buffer.clear();
    if (buffer.capacity() > large_buffer) free_buffer();
    charge.resize(buffer.capacity() + message.text.capacity());
    co_return message;
}

void WsSocket::free_buffer() {
    impl_->buffer.clear();
    impl_->buffer.shrink_to_fit();
}

// The empty cancellation slot saves the memory which each step of the write would need to be cancelled. A
// write ends early only when the stream closes.
asio::awaitable<void> WsSocket::write(std::string_view text, Kind kind) {
    impl_->socket.text(kind == Kind::text);
    auto writing = impl_->socket.async_write(
        asio::buffer(text), asio::bind_cancellation_slot(asio::cancellation_slot(), use_awaitable));
    co_await std::move(writing);
}

asio::awaitable<void> WsSocket::ping() {
    co_await impl_->socket.async_ping({}, use_awaitable);
}

asio::awaitable<void> WsSocket::close(std::uint16_t code, std::string reason) {
    if (!impl_->socket.is_open()) co_return;
    const websocket::close_reason why(static_cast<websocket::close_code>(code), reason);
    error_code ignored;
    co_await impl_->socket.async_close(why, asio::redirect_error(use_awaitable, ignored));
}

std::uint16_t WsSocket::close_code() const {
    const auto code = impl_->socket.reason().code;
    return code == websocket::close_code::none ? std::uint16_t{websocket::close_code::abnormal} : code;
}

}  // namespace solard::server
