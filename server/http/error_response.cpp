#include "server/http/error_response.hpp"

#include <chrono>
#include <string>
#include <utility>

#include "server/api/error.hpp"

namespace solard::server {

namespace asio = boost::asio;

HttpResponse error_response(const Error& error) {
    const auto& info = error_info(error.code);
    HttpResponse response;
    response.status = info.status;
    response.body = error_body(error);
    response.error = error;
    if (info.retry_after) add_retry_time(response, retry_time(error));
    if (info.status < 500 && info.status != 429) response.fields.emplace_back("x-should-retry", "false");
    if (info.status == 401) response.fields.emplace_back("WWW-Authenticate", "Bearer");
    if (info.status == 426) {
        response.fields.emplace_back("Upgrade", "websocket");
        response.fields.emplace_back("Sec-WebSocket-Version", "13");
    }
    return response;
}

void add_retry_time(HttpResponse& response, std::chrono::milliseconds wait) {
    response.fields.emplace_back("Retry-After",
                                 std::to_string(std::chrono::ceil<std::chrono::seconds>(wait).count()));
    response.fields.emplace_back("retry-after-ms", std::to_string(wait.count()));
}

asio::awaitable<void> respond(HttpExchange& exchange, result<HttpResponse> response) {
    auto message = response ? *std::move(response) : error_response(response.error());
    co_await exchange.respond(std::move(message));
}

}  // namespace solard::server
