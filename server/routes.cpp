#include "server/routes.hpp"

#include <algorithm>
#include <array>
#include <boost/system/system_error.hpp>
#include <exception>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "server/api/error.hpp"
#include "server/config/shown.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/http/error_response.hpp"
#include "server/observe/repeated_trouble.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

// Returns the object which a handler gets for a parameter of this type.
template <class Part>
Part& part_of(App& app, HttpExchange& exchange) {
    using Plain = std::remove_const_t<Part>;
    if constexpr (std::is_same_v<Plain, HttpExchange>) {
        return exchange;
    } else if constexpr (std::is_same_v<Plain, Gate>) {
        return app.gate;
    } else if constexpr (std::is_same_v<Plain, ServerState>) {
        return app.state;
    } else if constexpr (std::is_same_v<Plain, ServedModel>) {
        return app.generation.model;
    } else if constexpr (std::is_same_v<Plain, GenerationService>) {
        return app.generation;
    } else {
        static_assert(std::is_same_v<Plain, ResponseService>);
        return app.responses;
    }
}

template <class... Parts>
asio::awaitable<void> call_with_parts(asio::awaitable<void> (*handler)(Parts&...), App& app,
                                      HttpExchange& exchange) {
    return handler(part_of<Parts>(app, exchange)...);
}

// Calls a handler with those parts of the App which the types of the handler's parameters name.
template <auto handler>
asio::awaitable<void> call(App& app, HttpExchange& exchange) {
    return call_with_parts(handler, app, exchange);
}

asio::awaitable<void> refuse_plain_request(App&, HttpExchange& exchange) {
    auto response = error_response({errc::upgrade_required, "GET " + exchange.request().path +
                                                                " is for WebSocket clients; POST creates a "
                                                                "response."});
    co_await exchange.respond(std::move(response));
}

constexpr std::array table{
    Route{"POST", "/v1/chat/completions", &call<handle_chat_completions>},
    Route{"POST", "/v1/chat/completions/render", &call<handle_render>},
    Route{"POST", "/v1/completions", &call<handle_completions>},
    Route{"POST", "/v1/messages", &call<handle_messages>},
    Route{"POST", "/v1/messages/count_tokens", &call<handle_count_tokens>},
    Route{"POST", "/v1/responses", &call<handle_create_response>},
    Route{"GET", "/v1/responses", &refuse_plain_request, Access::api_key, Transport::websocket},
    Route{"POST", "/v1/responses/input_tokens", &call<handle_input_tokens>},
    Route{"POST", "/v1/responses/*/cancel", &call<handle_cancel_response>},
    Route{"GET", "/v1/responses/*", &call<handle_get_response>},
    Route{"DELETE", "/v1/responses/*", &call<handle_delete_response>},
    Route{"POST", "/v1/ws_tickets", &call<handle_ws_ticket>},
    Route{"POST", "/tokenize", &call<handle_tokenize>},
    Route{"POST", "/detokenize", &call<handle_detokenize>},
    Route{"GET", "/v1/models", &call<handle_models>},
    Route{"GET", "/v1/models/*", &call<handle_model>},
    Route{"GET", "/v1/metadata", &call<handle_metadata>},
    Route{"GET", "/v1/version", &call<handle_version>},
    Route{"GET", "/version", &call<handle_version>},
    Route{"GET", "/v1/license", &call<handle_license>},
    Route{"GET", "/openapi.json", &call<handle_openapi>},
    Route{"GET", "/metrics", &call<handle_metrics>},
    Route{"GET", "/v1/health/live", &call<handle_live>, Access::anyone, Transport::http, AtLimit::answered},
    Route{"GET", "/v1/health/ready", &call<handle_health>, Access::anyone, Transport::http,
          AtLimit::answered},
    Route{"GET", "/health", &call<handle_health>, Access::anyone, Transport::http, AtLimit::answered},
    Route{"GET", "/ping", &call<handle_health>, Access::anyone, Transport::http, AtLimit::answered},
    Route{"POST", "/ping", &call<handle_health>, Access::anyone, Transport::http, AtLimit::answered},
    Route{"GET", "/", &call<handle_static_file>, Access::anyone},
    Route{"GET", "/assets/*", &call<handle_static_file>, Access::anyone},
};

bool matches(std::string_view pattern, std::string_view path) {
    const auto star = pattern.find('*');
    if (star == std::string_view::npos) return pattern == path;
    const std::string_view after = pattern.substr(star + 1);
    return path.starts_with(pattern.substr(0, star)) && path.ends_with(after) &&
           path.size() >= star + after.size();
}

// HEAD is GET without a body: the exchange leaves the body out.
bool accepts(const Route& route, std::string_view method) {
    return route.method == method || (route.method == "GET" && method == "HEAD");
}

// Returns the path of the route which a client with a slightly wrong base URL has probably meant, or an empty
// text. Such a URL has too many slashes, or too few or too many "/v1".
std::string similar_route(std::string_view path) {
    std::string cleaned;
    for (const char c : path) {
        if (c != '/' || !cleaned.ends_with('/')) cleaned += c;
    }
    if (cleaned.ends_with('/')) cleaned.pop_back();
    while (cleaned.starts_with("/v1/v1/")) cleaned.erase(0, 3);
    for (const std::string& candidate : {cleaned, "/v1" + cleaned}) {
        if (std::ranges::find(table, candidate, &Route::path) != table.end()) return candidate;
    }
    return {};
}

HttpResponse no_route_response(const HttpRequest& request, const std::string& allowed) {
    if (allowed.empty()) {
        std::string hint = ".";
        if (const std::string similar = similar_route(request.path); !similar.empty()) {
            hint = "; the API is under /v1, did you mean " + similar + "?";
        } else if (!request.path.starts_with("/v1/")) {
            hint = "; the API is under /v1.";
        }
        return error_response({errc::not_found, "There is no route " + shown(request.method) + " " +
                                                    shown(request.path) + hint});
    }
    auto response = error_response({errc::method_not_allowed, shown(request.path) + " supports " + allowed +
                                                                  ", not " + shown(request.method) + "."});
    response.fields.emplace_back("Allow", allowed);
    return response;
}

// Returns true if the body must be decoded before it can be read, for example because it is compressed.
bool is_encoded(const HttpRequest& head) {
    std::string_view codings = head.content_encoding;
    while (!codings.empty()) {
        const auto comma = std::min(codings.find(','), codings.size());
        std::string_view coding = codings.substr(0, comma);
        codings.remove_prefix(std::min(comma + 1, codings.size()));
        while (coding.starts_with(' ')) coding.remove_prefix(1);
        while (coding.ends_with(' ')) coding.remove_suffix(1);
        if (!coding.empty() && coding != "identity") return true;
    }
    return false;
}

// Returns the answer to a browser that asks whether a page may send a request to another origin (Fetch
// standard, CORS preflight). The exchange adds Access-Control-Allow-Origin, as it does to every answer.
HttpResponse preflight_response() {
    HttpResponse response;
    response.status = 204;
    response.fields.emplace_back("Access-Control-Allow-Methods", "GET, POST, DELETE");
    // In this header, "*" does not include Authorization. The other two names are for old browsers.
    response.fields.emplace_back("Access-Control-Allow-Headers", "*, Authorization, x-api-key, api-key");
    response.fields.emplace_back("Access-Control-Max-Age", "600");
    return response;
}

asio::awaitable<void> route_request(App& app, HttpExchange& exchange, const RouteMatch& match) {
    const auto& request = exchange.request();
    if (auto response = answer_without_handler(app.gate, request, match, request.body.size()))
        co_return co_await exchange.respond(*std::move(response));
    co_await match.route->handler(app, exchange);
}

}  // namespace

RouteMatch find_route(const HttpRequest& head) {
    RouteMatch match;
    for (const auto& route : table) {
        if (!matches(route.path, head.path)) continue;
        if (match.allowed.empty()) match.access = route.access;
        if (accepts(route, head.method)) {
            match.route = &route;
            match.access = route.access;
            match.allowed.clear();
            break;
        }
        if (!match.allowed.empty()) match.allowed += ", ";
        match.allowed += route.method == "GET" ? "GET, HEAD" : std::string(route.method);
    }
    // A browser sends no key with a preflight request.
    if (head.method == "OPTIONS") match.access = Access::anyone;
    return match;
}

std::optional<HttpResponse> answer_without_handler(const Gate& gate, const HttpRequest& head,
                                                   const RouteMatch& match, std::uint64_t body_size) {
    if (head.method == "OPTIONS" && gate.is_allowed_origin(head.origin)) return preflight_response();
    if (match.route == nullptr) return no_route_response(head, match.allowed);
    // A page of another origin can post a form or plain text without a preflight, so only JSON is accepted.
    if (head.method == "POST" && body_size > 0 && head.content_type != "application/json")
        return error_response(default_error(errc::unsupported_media_type));
    if (body_size > 0 && is_encoded(head))
        return error_response({errc::unsupported_media_type,
                               "The body has the Content-Encoding '" + shown(head.content_encoding) +
                                   "', which this server does not decode. Send the body as plain JSON."});
    return std::nullopt;
}

asio::awaitable<void> dispatch(App& app, HttpExchange& exchange, const RouteMatch& match) {
    std::string problem;
    try {
        co_await route_request(app, exchange, match);
        co_return;
    } catch (const boost::system::system_error&) {
        throw;  // the client is gone
    } catch (const std::exception& e) {
        problem = e.what();
    }
    static RepeatedTrouble trouble;
    trouble.log(LogLevel::error, exchange.id() + " " + shown(exchange.request().path) + ": " + problem);
    if (exchange.header_sent()) {
        exchange.abandon();
        co_return;
    }
    auto response = error_response(default_error(errc::server_error));
    co_await exchange.respond(std::move(response));
}

}  // namespace solard::server
