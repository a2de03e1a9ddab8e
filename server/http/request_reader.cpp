#include "server/http/request_reader.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/optional/optional.hpp>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "server/http/head.hpp"
#include "server/http/smuggling_rules.hpp"
#include "server/observe/heap_bytes.hpp"

namespace solard::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::use_awaitable;
using beast::error_code;

namespace {

// The largest sizes of single reads, in bytes. An idle connection holds a buffer for the first read, which
// has room for most headers.
constexpr std::size_t max_first_read = 1024;
constexpr std::size_t max_header_read = 4096;
constexpr std::size_t max_body_read = 64 << 10;

bool is_http_error(const error_code& ec) {
    return ec.category() == make_error_code(http::error::bad_version).category();
}

}  // namespace

// The buffer has room for a header, and for the requests which a client pipelines while an answer is
// streamed.
RequestReader::RequestReader(const AppConfig& config, WaitingMemory& memory, Stream& stream, const Peer& peer)
    : config_(config),
      memory_(memory),
      stream_(stream),
      peer_(peer),
      buffer_(static_cast<std::size_t>(config.max_header_size) + max_header_read) {}

asio::awaitable<bool> RequestReader::wait() {
    parser_.reset();
    is_header_due_ = std::exchange(is_new_, false);
    stream_.expires_after(is_header_due_ ? config_.header_timeout : config_.idle_timeout);
    if (buffer_.size() > 0) co_return true;
    if (buffer_.capacity() > max_first_read) buffer_.shrink_to_fit();
    error_code ec;
    const auto space = buffer_.prepare(max_first_read);
    const std::size_t size = co_await stream_.async_read_some(space, asio::redirect_error(use_awaitable, ec));
    buffer_.commit(size);
    co_return !ec;
}

asio::awaitable<result<void>> RequestReader::read_head(HttpRequest& request) {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(config_.max_header_size));
    // read_body() checks this limit, so that the answer to a body which is too large knows the head.
    parser_->body_limit(boost::none);
    auto reading = read_header_block();
    const auto block = co_await std::move(reading);
    error_code ec;
    const std::size_t size = block ? parser_->put(asio::buffer(block->data(), block->size()), ec) : 0;
    if (!block || ec) {
        request = partial_head(unread(), peer_);
        co_return block ? read_problem(ec) : block.error();
    }
    buffer_.consume(size);
    request = plain_head(parser_->get(), peer_);
    co_return result<void>();
}

// Completes with the header block, which is valid until the buffer is consumed.
asio::awaitable<result<std::string_view>> RequestReader::read_header_block() {
    constexpr std::string_view end_of_block = "\r\n\r\n";
    const auto limit = static_cast<std::size_t>(config_.max_header_size);
    std::size_t searched = 0;
    for (;;) {
        skip_empty_lines();
        if (!unread().empty() && unread() != "\r") {
            stream_.set_phase(Stream::Phase::interruptible);
            if (!std::exchange(is_header_due_, true)) stream_.expires_after(config_.header_timeout);
        }
        const std::string_view read = unread();
        const auto end = read.find(end_of_block, searched);
        if (std::min(end, read.size()) > limit) co_return read_problem(http::error::header_limit);
        if (end != std::string_view::npos) {
            const std::string_view block = read.substr(0, end + end_of_block.size());
            if (auto valid = check_header_block(block); !valid) co_return valid.error();
            co_return block;
        }
        searched = read.size() - std::min(read.size(), end_of_block.size() - 1);
        error_code ec;
        auto reading = read_some(max_header_read, ec);
        co_await std::move(reading);
        if (ec) co_return read_problem(ec);
    }
}

asio::awaitable<result<void>> RequestReader::read_body(HttpRequest& request) {
    error_code ec;
    if (content_length() > static_cast<std::uint64_t>(config_.max_body_size)) ec = http::error::body_limit;
    if (!ec && !parser().is_done()) {
        auto receiving = receive_body(request, ec);
        co_await std::move(receiving);
    }
    if (request.body_charge && request.body_charge->is_refused()) {
        release(parser().get().body());
        co_return no_waiting_memory();
    }
    if (ec) co_return body_problem(ec);
    request.body = std::move(parser().get().body());
    stream_.expires_never();
    co_return result<void>();
}

// Reads the body and charges its memory. If the charge is refused, `ec` is operation_aborted.
asio::awaitable<void> RequestReader::receive_body(HttpRequest& request, error_code& ec) {
    Parser& parser = this->parser();
    stream_.expires_after(config_.body_timeout);
    parser.body_limit(static_cast<std::uint64_t>(config_.max_body_size));
    if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
        auto sending = send_continue(ec);
        co_await std::move(sending);
        if (ec) co_return;
    }
    // Chunk extensions and trailers are refused: no client needs them, and HTTP parsers do not agree on how
    // to read them.
    auto refuse_extensions = [](std::uint64_t, beast::string_view extensions, error_code& problem) {
        if (!extensions.empty()) problem = http::error::bad_chunk_extension;
    };
    parser.on_chunk_header(refuse_extensions);
    const auto num_fields = std::distance(parser.get().begin(), parser.get().end());
    request.body_charge =
        std::make_unique<InputCharge>(memory_, memory_owner(request.caller), [this] { stream_.cancel(); });
    parser.eager(true);
    while (!ec && !parser.is_done()) {
        auto parsing = parse_more(ec);
        co_await std::move(parsing);
        if (!request.body_charge->resize(parser.get().body().capacity())) ec = asio::error::operation_aborted;
    }
    request.body_charge->end_reading();
    const bool has_trailers = std::distance(parser.get().begin(), parser.get().end()) != num_fields;
    if (!ec && has_trailers) ec = http::error::bad_field;
}

asio::awaitable<void> RequestReader::send_continue(error_code& ec) {
    constexpr std::string_view continue_response = "HTTP/1.1 100 Continue\r\n\r\n";
    num_written_ += co_await asio::async_write(stream_, asio::buffer(continue_response),
                                               asio::redirect_error(use_awaitable, ec));
}

// Parses the bytes in the buffer. If the parser needs more bytes, reads them. Beast's own reading would parse
// in a handler, where a failed allocation could not be answered.
asio::awaitable<void> RequestReader::parse_more(error_code& ec) {
    if (buffer_.size() > 0) {
        buffer_.consume(parser().put(buffer_.cdata(), ec));
        if (ec != http::error::need_more) co_return;
        ec = {};
    }
    if (buffer_.size() == buffer_.max_size()) {
        ec = http::error::bad_chunk;  // the header of a chunk is too long
        co_return;
    }
    auto reading = read_some(max_body_read, ec);
    co_await std::move(reading);
    if (ec == asio::error::eof) ec = http::error::partial_message;
}

// Reads at most `max_size` bytes into the buffer, as far as it has room.
asio::awaitable<void> RequestReader::read_some(std::size_t max_size, error_code& ec) {
    const auto space = buffer_.prepare(std::min(max_size, buffer_.max_size() - buffer_.size()));
    const std::size_t size = co_await stream_.async_read_some(space, asio::redirect_error(use_awaitable, ec));
    buffer_.commit(size);
}

// Returns the error for a request that could not be read; request_cancelled if the client is gone.
Error RequestReader::read_problem(const error_code& ec) const {
    if (ec == http::error::header_limit)
        return {errc::headers_too_large, "The header block is larger than the limit of " +
                                             std::to_string(config_.max_header_size) +
                                             " bytes; send fewer or shorter header fields."};
    if (ec == http::error::body_limit)
        return {errc::payload_too_large,
                "The body is larger than " + std::to_string(config_.max_body_size) + " bytes."};
    if (is_http_error(ec) && ec != http::error::end_of_stream && ec != http::error::partial_message)
        return {errc::invalid_value, "The request is not valid HTTP/1.1: " + ec.message() + "."};
    return {errc::request_cancelled, "The client is gone."};
}

// Returns the error for a body that could not be read.
Error RequestReader::body_problem(const error_code& ec) const {
    const auto invalid = [](std::string_view problem) {
        return Error{errc::invalid_value, "The body is not valid: " + std::string(problem)};
    };
    if (ec == http::error::bad_chunk_extension)
        return invalid(
            "the first line of a chunk must have nothing but the size in hexadecimal digits; "
            "chunk extensions are not supported.");
    if (ec == http::error::bad_chunk)
        return invalid(
            "each chunk must have its size in hexadecimal digits, a line break, its bytes and a line break.");
    const bool is_incomplete = ec == http::error::partial_message || ec == http::error::end_of_stream;
    const bool is_too_large = ec == http::error::body_limit || ec == http::error::header_limit;
    // Every other error of the parser comes from the lines after the last chunk.
    if (is_http_error(ec) && !is_incomplete && !is_too_large)
        return invalid("header fields after the last chunk (trailers) are not supported.");
    return read_problem(ec);
}

// Empty lines before a request line are ignored (RFC 9112, section 2.2).
void RequestReader::skip_empty_lines() {
    while (unread().starts_with("\r\n")) buffer_.consume(2);
}

std::string_view RequestReader::unread() const {
    return {static_cast<const char*>(buffer_.cdata().data()), buffer_.size()};
}

}  // namespace solard::server
