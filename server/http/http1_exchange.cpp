#include "server/http/http1_exchange.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_cat.hpp>
#include <boost/beast/http.hpp>
#include <string>
#include <utility>

#include "server/api/anthropic_answer.hpp"
#include "server/config/random_bits.hpp"
#include "server/http/error_response.hpp"

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

// Returns the header block as it is sent.
std::string text_of(const http::response_header<>& header) {
    std::string text = header.version() == 11 ? "HTTP/1.1 " : "HTTP/1.0 ";
    const auto append = [&](beast::string_view part) { text.append(part.data(), part.size()); };
    text += std::to_string(header.result_int()) + " ";
    append(header.reason());
    text += "\r\n";
    for (const auto& field : header) {
        append(field.name_string());
        text += ": ";
        append(field.value());
        text += "\r\n";
    }
    return text += "\r\n";
}

}  // namespace

std::string make_request_id() {
    return "req_" + random_hex(16);
}

Http1Exchange::Http1Exchange(const AppConfig& config, const Gate& gate, ServerState& state, Stream& stream,
                             beast::flat_buffer& buffer, HttpRequest request, unsigned version,
                             bool keep_alive)
    : HttpExchange(std::move(request), make_request_id()),
      config_(config),
      gate_(gate),
      state_(state),
      stream_(stream),
      buffer_(buffer),
      version_(version),
      answer_charge_(state.waiting_memory, memory_owner(request_.caller), WaitingKind::output,
                     [this](std::size_t) {
                         answer_charge_.resize(0);
                         stream_.close();
                     }) {
    keep_alive_ = keep_alive;
}

// Charges the memory budget for a piece of `bytes` bytes which is about to be written. If the budget has no
// room for this piece, closes the stream, so that the write fails.
void Http1Exchange::charge(std::size_t bytes) {
    if (!answer_charge_.resize(bytes)) stream_.close();
}

asio::awaitable<void> Http1Exchange::respond(HttpResponse response) {
    if (!answer_charge_.resize(response.body.capacity())) response = error_response(no_waiting_memory());
    if (response.error && is_messages_path(request_.path))
        response.body = messages_error_body(*response.error, id_);
    http::response<http::empty_body> message(http::int_to_status(response.status), version_);
    fill_header(message, response.content_type);
    message.keep_alive(keep_alive_);
    for (const auto& [name, value] : response.fields) message.set(name, value);
    if (response.status != 204 && response.status != 304) message.content_length(response.body.size());
    if (!has_body()) response.body.clear();
    const std::string header = text_of(message);
    const std::array<asio::const_buffer, 2> bytes{asio::buffer(header), asio::buffer(response.body)};
    auto writing = asio::async_write(stream_, bytes, use_awaitable);
    state_.metrics.http_answer(response.status);
    if (response.error) state_.metrics.error(response.error->code);
    // From here on, nothing can fail for lack of memory. If this function fails earlier, the caller can still
    // send another answer.
    header_sent_ = true;
    status_ = response.status;
    co_await std::move(writing);
    charge(0);
}

asio::awaitable<void> Http1Exchange::begin_stream(std::string_view content_type, std::string_view first) {
    http::response<http::empty_body> message(http::status::ok, version_);
    chunked_ = version_ == 11;
    if (!chunked_) keep_alive_ = false;  // HTTP/1.0: the end of the connection is the end of the body
    fill_header(message, content_type);
    message.keep_alive(keep_alive_);
    if (content_type.starts_with("text/event-stream")) {
        message.set(http::field::cache_control, "no-cache");
        message.set("X-Accel-Buffering", "no");  // otherwise nginx and similar proxies would hold tokens back
    }
    if (chunked_) message.chunked(true);
    const std::string header = text_of(message);
    const asio::const_buffer body(first.data(), first.size());
    const auto chunk = beast::buffers_cat(asio::buffer(header), http::make_chunk(body));
    const std::array<asio::const_buffer, 2> plain{asio::buffer(header), body};
    auto writing = !has_body() ? asio::async_write(stream_, asio::buffer(header), use_awaitable)
                   : chunked_  ? asio::async_write(stream_, chunk, use_awaitable)
                               : asio::async_write(stream_, plain, use_awaitable);
    charge(first.size());
    state_.metrics.http_answer(200);
    header_sent_ = true;
    status_ = 200;
    co_await std::move(writing);
    charge(0);
}

asio::awaitable<void> Http1Exchange::write(std::string_view piece) {
    if (!has_body()) co_return co_await asio::post(executor(), use_awaitable);  // lets other handlers run
    const asio::const_buffer data(piece.data(), piece.size());
    charge(piece.size());
    if (chunked_) {
        const auto chunk = http::make_chunk(data);
        co_await asio::async_write(stream_, chunk, use_awaitable);
    } else {
        co_await asio::async_write(stream_, data, use_awaitable);
    }
    charge(0);
}

asio::awaitable<void> Http1Exchange::end_stream() {
    if (!chunked_ || !has_body()) co_return;
    const auto last = http::make_chunk_last();
    co_await asio::async_write(stream_, last, use_awaitable);
}

asio::awaitable<void> Http1Exchange::client_gone() {
    for (;;) {
        const std::size_t capacity = buffer_.max_size() - buffer_.size();
        if (capacity == 0) {
            // The buffer is full of pipelined requests, so nothing more is read. If the client leaves now,
            // the next write fails.
            asio::steady_timer never(stream_.get_executor(), asio::steady_timer::time_point::max());
            co_await never.async_wait(use_awaitable);
        }
        error_code ec;
        const auto space = buffer_.prepare(std::min<std::size_t>(capacity, 1024));
        const std::size_t size =
            co_await stream_.async_read_some(space, asio::redirect_error(use_awaitable, ec));
        buffer_.commit(size);
        // If the read was aborted and the stream is open, the answer was complete before the client left.
        if (ec && (ec != asio::error::operation_aborted || !stream_.is_open())) keep_alive_ = false;
        if (ec) co_return;
    }
}

void Http1Exchange::fill_header(http::response_header<>& header, std::string_view content_type) {
    header.set(http::field::content_type, content_type);
    header.set("x-request-id", id_);
    header.set("X-Content-Type-Options", "nosniff");
    if (!config_.allowed_origins.empty()) header.set(http::field::vary, "Origin");
    if (gate_.is_allowed_origin(request_.origin)) {
        header.set(http::field::access_control_allow_origin, request_.origin);
        header.set(http::field::access_control_expose_headers,
                   "x-request-id, Retry-After, retry-after-ms, x-should-retry");
    }
    if (content_type.starts_with("text/html")) {
        header.set("Content-Security-Policy", page_policy);
        header.set("Referrer-Policy", "no-referrer");
        header.set("Cross-Origin-Opener-Policy", "same-origin");
    }
    keep_alive_ = keep_alive();
}

}  // namespace solard::server
