#include "server/routes.hpp"

#include <algorithm>
#include <array>
#include <boost/system/system_error.hpp>
#include <chrono>
#include <exception>
#include <string>
#include <string_view>

#include "server/api/error.hpp"
#include "server/app.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/http/exchange.hpp"
#include "server/observe/log.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

using Handler = asio::awaitable<void> (*)(App& app, HttpExchange& exchange);

struct Route {
    std::string_view method;
    std::string_view path;  // '*' stands for a parameter
    Handler handler;
    Access access = Access::api_key;
};

constexpr std::array table{
    Route{"POST", "/v1/chat/completions", &handle_chat_completions},
    Route{"POST", "/v1/chat/completions/render", &handle_render},
    Route{"POST", "/v1/completions", &handle_completions},
    Route{"POST", "/v1/responses", &handle_create_response},
    Route{"GET", "/v1/responses", &handle_responses_socket},
    Route{"POST", "/v1/responses/input_tokens", &handle_input_tokens},
    Route{"POST", "/v1/responses/*/cancel", &handle_cancel_response},
    Route{"GET", "/v1/responses/*", &handle_get_response},
    Route{"DELETE", "/v1/responses/*", &handle_delete_response},
    Route{"POST", "/v1/ws_tickets", &handle_ws_ticket},
    Route{"POST", "/tokenize", &handle_tokenize},
    Route{"POST", "/detokenize", &handle_detokenize},
    Route{"GET", "/v1/models", &handle_models},
    Route{"GET", "/v1/models/*", &handle_model},
    Route{"GET", "/v1/metadata", &handle_metadata},
    Route{"GET", "/v1/version", &handle_version},
    Route{"GET", "/v1/license", &handle_license},
    Route{"GET", "/openapi.json", &handle_openapi},
    Route{"GET", "/metrics", &handle_metrics},
    Route{"GET", "/v1/health/live", &handle_live, Access::anyone},
    Route{"GET", "/v1/health/ready", &handle_health, Access::anyone},
    Route{"GET", "/health", &handle_health, Access::anyone},
    Route{"GET", "/", &handle_static_file, Access::anyone},
    Route{"GET", "/assets/*", &handle_static_file, Access::anyone},
};

bool matches(std::string_view pattern, std::string_view path) {
    const auto star = pattern.find('*');
    if (star == std::string_view::npos) return pattern == path;
    const std::string_view after = pattern.substr(star + 1);
    return path.starts_with(pattern.substr(0, star)) && path.ends_with(after) &&
           path.size() >= star + after.size();
}

// HEAD is GET without a body; the exchange leaves the body out.
bool takes(const Route& route, std::string_view method) {
    return route.method == method || (route.method == "GET" && method == "HEAD");
}

struct Match {
    const Route* route = nullptr;
    std::string allowed;  // verbs the path takes, if the request's is not among them
};

Match find_route(const HttpRequest& request) {
    Match match;
    for (const auto& route : table) {
        if (!matches(route.path, request.path)) continue;
        if (takes(route, request.method)) return {&route, {}};
        if (!match.allowed.empty()) match.allowed += ", ";
        match.allowed += route.method == "GET" ? "GET, HEAD" : std::string(route.method);
    }
    return match;
}

HttpResponse no_route_response(const HttpRequest& request, const std::string& allowed) {
    if (allowed.empty())
        return error_response(
            {errc::not_found, "There is no route " + request.method + " " + request.path + "."});
    auto response = error_response(
        {errc::method_not_allowed, request.path + " takes " + allowed + ", not " + request.method + "."});
    response.fields.emplace_back("Allow", allowed);
    return response;
}

// What a browser asks before it sends a page's request to another origin (Fetch standard, CORS preflight).
// The origin itself is named in every answer.
HttpResponse preflight_response() {
    HttpResponse response;
    response.status = 204;
    response.fields.emplace_back("Access-Control-Allow-Methods", "GET, POST, DELETE");
    // A wildcard covers no Authorization.
    response.fields.emplace_back("Access-Control-Allow-Headers", "*, Authorization");
    response.fields.emplace_back("Access-Control-Max-Age", "600");
    return response;
}

asio::awaitable<void> route_request(App& app, HttpExchange& exchange) {
    const auto& request = exchange.request();
    if (request.method == "OPTIONS" && is_allowed_origin(app, request.origin)) {
        auto response = preflight_response();
        co_return co_await exchange.respond(std::move(response));
    }
    const auto match = find_route(request);
    if (match.route == nullptr) {
        auto response = no_route_response(request, match.allowed);
        co_return co_await exchange.respond(std::move(response));
    }
    // A page of another origin can post a form or plain text without asking first, but not JSON.
    if (request.method == "POST" && !request.body.empty() && request.content_type != "application/json") {
        auto response = error_response(
            {errc::unsupported_media_type, std::string(message_of(errc::unsupported_media_type))});
        co_return co_await exchange.respond(std::move(response));
    }
    co_await match.route->handler(app, exchange);
}

}  // namespace

Access access_of(const HttpRequest& head) {
    // A browser sends no key with its question whether it may ask.
    if (head.method == "OPTIONS") return Access::anyone;
    const auto is_this = [&](const Route& route) { return matches(route.path, head.path); };
    const auto* const route = std::ranges::find_if(table, is_this);
    return route == table.end() ? Access::api_key : route->access;
}

HttpResponse error_response(const Error& error) {
    const auto& info = error_info(error.code);
    HttpResponse response;
    response.status = info.status;
    response.body = error_body(error);
    response.error = error.code;
    if (info.retry_after) {
        const auto wait = retry_time(error);
        response.fields.emplace_back("Retry-After",
                                     std::to_string(std::chrono::ceil<std::chrono::seconds>(wait).count()));
        response.fields.emplace_back("retry-after-ms", std::to_string(wait.count()));
    }
    if (info.status < 500 && info.status != 429) response.fields.emplace_back("x-should-retry", "false");
    if (info.status == 401) response.fields.emplace_back("WWW-Authenticate", "Bearer");
    if (info.status == 426) {
        response.fields.emplace_back("Upgrade", "websocket");
        response.fields.emplace_back("Sec-WebSocket-Version", "13");
    }
    return response;
}

asio::awaitable<void> respond(HttpExchange& exchange, result<HttpResponse> response) {
    auto message = response ? *std::move(response) : error_response(response.error());
    co_await exchange.respond(std::move(message));
}

asio::awaitable<void> dispatch(App& app, HttpExchange& exchange) {
    std::string problem;
    try {
        co_await route_request(app, exchange);
        co_return;
    } catch (const boost::system::system_error&) {
        throw;  // the client is gone
    } catch (const std::exception& e) {
        problem = e.what();
    }
    log(LogLevel::error, exchange.id() + " " + exchange.request().path + ": " + problem);
    if (exchange.header_sent()) {
        exchange.abandon();
        co_return;
    }
    auto response = error_response({errc::server_error, std::string(message_of(errc::server_error))});
    co_await exchange.respond(std::move(response));
}

}  // namespace solard::server
