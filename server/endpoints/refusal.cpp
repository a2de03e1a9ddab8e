#include "server/endpoints/refusal.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "server/http/error_response.hpp"
#include "server/http/run_until.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;
using Delay = RefusalPacer::Clock::duration;

asio::awaitable<void> wait(asio::any_io_executor executor, Delay delay) {
    asio::steady_timer timer(executor, delay);
    co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

asio::awaitable<void> wait_for_slot(GenerationService& service, HttpExchange& exchange, errc code) {
    const Delay delay = service.refusal_delay(exchange.request().caller, code);
    if (delay <= Delay{}) co_return;
    exchange.set_paused(true);
    co_await wait(exchange.executor(), delay);
    exchange.set_paused(false);
}

asio::awaitable<void> refuse(GenerationService& service, HttpExchange& exchange, Error error) {
    if (const Delay delay = service.refusal_delay(exchange.request().caller, error.code); delay > Delay{}) {
        exchange.set_paused(true);
        auto waiting = wait(exchange.executor(), delay);
        auto gone = exchange.client_gone();
        co_await run_until(std::move(waiting), std::move(gone));
        exchange.set_paused(false);
    }
    auto response = error_response(error);
    co_await exchange.respond(std::move(response));
}

}  // namespace solard::server
