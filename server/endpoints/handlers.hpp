// The handlers that the route table (server/routes.cpp) names. Each one runs as a coroutine on the I/O thread
// and answers exactly once. The coroutine may use only its parameters, whose objects exist until it has
// ended. A ResponseService also gives access to its GenerationService.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/auth/gate.hpp"
#include "server/generation/generation_service.hpp"
#include "server/http/exchange.hpp"
#include "server/observe/server_state.hpp"
#include "server/responses/response_service.hpp"

namespace solard::server {

// Defined in chat.cpp and completions.cpp.
boost::asio::awaitable<void> handle_chat_completions(GenerationService& generation, HttpExchange& exchange);
boost::asio::awaitable<void> handle_render(GenerationService& generation, HttpExchange& exchange);
boost::asio::awaitable<void> handle_completions(GenerationService& generation, HttpExchange& exchange);

// Defined in messages.cpp.
boost::asio::awaitable<void> handle_messages(GenerationService& generation, HttpExchange& exchange);
boost::asio::awaitable<void> handle_count_tokens(GenerationService& generation, HttpExchange& exchange);

// Defined in responses.cpp.
boost::asio::awaitable<void> handle_create_response(ResponseService& responses, HttpExchange& exchange);
boost::asio::awaitable<void> handle_get_response(ResponseService& responses, HttpExchange& exchange);
boost::asio::awaitable<void> handle_cancel_response(ResponseService& responses, HttpExchange& exchange);
boost::asio::awaitable<void> handle_delete_response(ResponseService& responses, HttpExchange& exchange);
boost::asio::awaitable<void> handle_input_tokens(ResponseService& responses, HttpExchange& exchange);

// Defined in tokenize.cpp.
boost::asio::awaitable<void> handle_tokenize(GenerationService& generation, HttpExchange& exchange);
boost::asio::awaitable<void> handle_detokenize(GenerationService& generation, HttpExchange& exchange);

// Defined in info.cpp and metrics.cpp.
boost::asio::awaitable<void> handle_models(const ServedModel& model, HttpExchange& exchange);
boost::asio::awaitable<void> handle_model(const GenerationService& generation, HttpExchange& exchange);
boost::asio::awaitable<void> handle_health(const ServerState& state, HttpExchange& exchange);
boost::asio::awaitable<void> handle_live(HttpExchange& exchange);
boost::asio::awaitable<void> handle_metadata(const ServerState& state, const GenerationService& generation,
                                             HttpExchange& exchange);
boost::asio::awaitable<void> handle_version(HttpExchange& exchange);
boost::asio::awaitable<void> handle_license(HttpExchange& exchange);
boost::asio::awaitable<void> handle_openapi(HttpExchange& exchange);
boost::asio::awaitable<void> handle_ws_ticket(Gate& gate, HttpExchange& exchange);
boost::asio::awaitable<void> handle_metrics(const ServerState& state, ResponseService& responses,
                                            HttpExchange& exchange);

// Defined in static.cpp.
boost::asio::awaitable<void> handle_static_file(HttpExchange& exchange);

}  // namespace solard::server
