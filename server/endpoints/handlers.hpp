// The handlers that the route table names. Each runs as a coroutine on the I/O thread and answers exactly
// once; Error-shaped answers go through error_response().
#pragma once

#include <boost/asio/awaitable.hpp>

namespace solard::server {

class App;
class HttpExchange;

boost::asio::awaitable<void> handle_chat_completions(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_completions(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_render(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_create_response(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_responses_socket(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_ws_ticket(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_get_response(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_cancel_response(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_delete_response(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_input_tokens(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_tokenize(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_detokenize(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_models(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_model(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_health(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_live(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_metadata(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_version(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_license(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_openapi(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_metrics(App& app, HttpExchange& exchange);
boost::asio::awaitable<void> handle_static_file(App& app, HttpExchange& exchange);

}  // namespace solard::server
