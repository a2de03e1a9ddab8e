// GET /metrics.
#include "server/app.hpp"
#include "server/config/version.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/http/exchange.hpp"
#include "server/observe/metrics_text.hpp"

namespace solard::server {

namespace asio = boost::asio;

asio::awaitable<void> handle_metrics(App& app, HttpExchange& exchange) {
    const std::chrono::duration<double> start = app.started.time_since_epoch();
    HttpResponse response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = metrics_text(app.metrics,
                                 {.version = version_text,
                                  .model_name = app.model.names.front(),
                                  .state = name_of(app.engine.state()),
                                  .engine = app.engine.snapshot(),
                                  .num_in_flight = app.engine.num_in_flight(),
                                  .num_connections = app.num_connections,
                                  .num_sockets = app.sockets.size(),
                                  .process_start = start.count()},
                                 app.config.metrics_compat == "vllm");
    co_await exchange.respond(std::move(response));
}

}  // namespace solard::server
