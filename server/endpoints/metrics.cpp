// GET /metrics.
#include "server/config/version.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/http/exchange.hpp"
#include "server/observe/log.hpp"
#include "server/observe/metrics_text.hpp"

namespace solard::server {

namespace asio = boost::asio;

asio::awaitable<void> handle_metrics(const ServerState& state, ResponseService& responses,
                                     HttpExchange& exchange) {
    const GenerationService& generation = responses.generation();
    const std::chrono::duration<double> start = state.started.time_since_epoch();
    HttpResponse response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = metrics_text(state.metrics,
                                 {.version = version_text,
                                  .model_name = generation.model.names.front(),
                                  .state = name_of(state.phase),
                                  .engine = generation.engine.snapshot(),
                                  .num_in_flight = generation.engine.num_in_flight(),
                                  .num_connections = state.num_connections,
                                  .num_sockets = state.sockets.size(),
                                  .waiting_memory_bytes = state.waiting_memory.bytes(),
                                  .num_waiting_memory_shed = state.waiting_memory.num_shed(),
                                  .num_stored_responses = responses.store().size(),
                                  .stored_response_bytes = responses.store().bytes(),
                                  .num_stored_response_owners = responses.store().num_owners(),
                                  .grammars = generation.grammars.counts(),
                                  .log_lines_lost = num_log_lines_lost(),
                                  .process_start = start.count()},
                                 generation.config.metrics_compat == "vllm");
    co_await exchange.respond(std::move(response));
}

}  // namespace solard::server
