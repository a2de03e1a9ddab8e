// Answers that need no model: models, health, metadata.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "server/api/error.hpp"
#include "server/api/json.hpp"
#include "server/api/models.hpp"
#include "server/app.hpp"
#include "server/config/version.hpp"
#include "server/endpoints/embedded_text.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/generation/admission.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {

namespace asio = boost::asio;
namespace json = boost::json;

namespace {

constexpr std::string_view model_route = "/v1/models/";

HttpResponse json_response(std::string body, unsigned status = 200) {
    HttpResponse response;
    response.status = status;
    response.body = std::move(body);
    return response;
}

// Boost.JSON writes 1.0 as 1E0.
json::value plain_number(double value) {
    if (value == std::trunc(value)) return static_cast<std::int64_t>(value);
    return value;
}

ListedModel listed_model(const ServedModel& model) {
    return {model.names.front(), model.created, model.context_length};
}

// What each field of a request may hold, for clients that show them.
json::object limits_json(const App& app) {
    json::object limits{
        {"max_tokens", app.model.context_length - 1},
        {"top_k", {0, app.model.config.vocab_size}},  // 0 = all, and so is what is larger
        {"n", {1, max_choices_together(app)}},
        {"top_logprobs", {0, max_top_logprobs}},
        {"stop", {{"count", max_stop_strings}, {"bytes", max_stop_bytes}}},
        {"stop_token_ids", {{"count", max_stop_token_ids}}},
        {"logit_bias",
         {{"count", max_logit_biases},
          {"bias", {plain_number(-max_logit_bias), plain_number(max_logit_bias)}}}},
        {"body_bytes", app.config.max_body_size},
    };
    for (const auto& range : sampling_ranges)
        limits[range.name] = {plain_number(range.min), plain_number(range.max)};
    return limits;
}

// {"status": "ready" | "loading" | "draining" | "failed"}, with "progress" in per cent while loading.
std::string health_json(const App& app) {
    const auto state = app.engine.state();
    json::object body{{"status", state == ServiceState::starting ? "loading" : name_of(state)}};
    if (state == ServiceState::starting) body["progress"] = app.load_percent.load();
    return json::serialize(body);
}

// What the page and operators want to know: model, device, limits, defaults, sizes, the engine's last
// counters.
std::string metadata_json(const App& app) {
    const auto& config = app.config;
    const auto& model = app.model;
    const auto& info = app.engine.info();
    const auto& now = app.engine.snapshot();
    json::array examples(model.examples.begin(), model.examples.end());
    json::object body{
        {"version", version_text},
        {"state", name_of(app.engine.state())},
        {"model",
         {{"id", model.names.front()},
          {"context_length", model.context_length},
          {"num_parameters", model.config.num_parameters()}}},
        {"device", info ? json::value(info->backend) : json::value(nullptr)},
        {"limits", limits_json(app)},
        {"defaults",
         {{"temperature", plain_number(model.config.default_temperature.value_or(1.0))},
          {"top_p", plain_number(model.config.default_top_p.value_or(1.0))}}},
        {"kv_cache", {{"capacity_tokens", app.engine.capacity_tokens()}, {"block_size", kv_block_size}}},
        {"max_num_seqs", config.max_num_seqs},
        {"max_num_batched_tokens", info ? info->max_num_batched_tokens : 0},
        {"max_queued_requests", config.max_queued_requests},
        {"engine",
         {{"steps", now.steps},
          {"num_running", now.num_running},
          {"num_waiting", now.num_waiting},
          {"num_blocks", now.num_blocks},
          {"free_blocks", now.num_free_blocks},
          {"cached_blocks", now.num_cached_blocks},
          {"preemptions", now.num_preemptions},
          {"generated_tokens", now.generated_tokens},
          {"prefix_cache_queries", now.prefix_cache_queries},
          {"prefix_cache_hits", now.prefix_cache_hits},
          {"draft_tokens", now.draft_tokens},
          {"accepted_draft_tokens", now.accepted_draft_tokens},
          {"step_microseconds", now.step_time.count() / 1000},
          {"tokens_per_second", static_cast<std::int64_t>(now.tokens_per_second)},
          {"in_flight", app.engine.num_in_flight()}}},
        {"examples", std::move(examples)},
    };
    return json::serialize(body);
}

}  // namespace

asio::awaitable<void> handle_version(App&, HttpExchange& exchange) {
    // vLLM's key, and NIM's two.
    auto response = json_response(json::serialize(
        json::object{{"version", version_text}, {"release", version_text}, {"api", version_text}}));
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_license(App&, HttpExchange& exchange) {
    auto response =
        json_response(json::serialize(json::object{{"license", "Apache-2.0"}, {"content", license_text()}}));
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_openapi(App&, HttpExchange& exchange) {
    auto response = json_response(std::string(openapi_text()));
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_models(App& app, HttpExchange& exchange) {
    auto response = json_response(models_json(app.model.names, listed_model(app.model)));
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_model(App& app, HttpExchange& exchange) {
    const std::string name = exchange.request().path.substr(model_route.size());
    HttpResponse response;
    if (!name.empty() && app.model.answers_to(name)) {
        response = json_response(model_json(name, listed_model(app.model)));
    } else {
        response =
            error_response({errc::model_not_found, "The model '" + name + "' is not served here.", "model"});
    }
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_health(App& app, HttpExchange& exchange) {
    const auto state = app.engine.state();
    HttpResponse response = json_response(health_json(app), state == ServiceState::ready ? 200 : 503);
    if (state != ServiceState::ready) response.fields.emplace_back("Retry-After", "1");
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_live(App&, HttpExchange& exchange) {
    auto response = json_response(R"({"status":"live"})");
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_metadata(App& app, HttpExchange& exchange) {
    auto response = json_response(metadata_json(app));
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_ws_ticket(App& app, HttpExchange& exchange) {
    HttpResponse response;
    response.body = R"({"object":"ws_ticket","ticket":)";
    append_json_string(response.body,
                       app.ws_tickets.issue(exchange.request().caller.key, WsTickets::Clock::now()));
    response.body += R"(,"expires_in":)";
    append_json_number(response.body, std::int64_t{WsTickets::lifetime.count()});
    response.body += '}';
    co_await exchange.respond(std::move(response));
}

}  // namespace solard::server
