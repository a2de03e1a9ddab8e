// One HTTP/1.1 request and its answer on a stream. This is one of the few files that may include Beast.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <string_view>

#include "server/auth/gate.hpp"
#include "server/config/app_config.hpp"
#include "server/http/exchange.hpp"
#include "server/http/stream.hpp"
#include "server/observe/server_state.hpp"

namespace solard::server {

// Returns a new id for a request, "req_...".
std::string make_request_id();

// The objects which the constructor gets by reference must outlive the exchange. I/O thread only.
class Http1Exchange final : public HttpExchange {
  public:
    // `buffer` holds the bytes that were read from `stream` but not yet used. `version` is 10 or 11.
    Http1Exchange(const AppConfig& config, const Gate& gate, ServerState& state, Stream& stream,
                  boost::beast::flat_buffer& buffer, HttpRequest request, unsigned version, bool keep_alive);

    // Returns true if the connection can carry another request after this one.
    bool keep_alive() const { return keep_alive_ && !state_.is_ending(); }
    unsigned status() const { return status_; }

    boost::asio::any_io_executor executor() override { return stream_.get_executor(); }
    boost::asio::awaitable<void> respond(HttpResponse response) override;
    boost::asio::awaitable<void> begin_stream(std::string_view content_type, std::string_view first) override;
    boost::asio::awaitable<void> write(std::string_view piece) override;
    boost::asio::awaitable<void> end_stream() override;
    void note_error(errc code) override { state_.metrics.error(code); }
    void set_paused(bool paused) override {
        stream_.set_phase(paused ? Stream::Phase::interruptible : Stream::Phase::busy);
    }
    boost::asio::awaitable<void> client_gone() override;

  private:
    void charge(std::size_t bytes);
    bool has_body() const { return request_.method != "HEAD"; }
    void fill_header(boost::beast::http::response_header<>& header, std::string_view content_type);

    const AppConfig& config_;
    const Gate& gate_;
    ServerState& state_;
    Stream& stream_;
    boost::beast::flat_buffer& buffer_;
    unsigned version_;
    bool chunked_ = false;
    WaitingAccount answer_charge_;  // for the bytes that are being written
};

}  // namespace solard::server
