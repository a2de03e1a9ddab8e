// Answers that need no engine: models, health, metadata, version, license, openapi.json, tickets.
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cmath>

#include "server/api/error.hpp"
#include "server/api/json.hpp"
#include "server/api/models.hpp"
#include "server/config/version.hpp"
#include "server/endpoints/embedded_text.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/generation/admission.hpp"
#include "server/http/error_response.hpp"

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

// Returns a whole number as an integer, because Boost.JSON writes 1.0 as 1E0.
json::value plain_number(double value) {
    if (value == std::trunc(value)) return static_cast<std::int64_t>(value);
    return value;
}

ListedModel listed_model(const ServedModel& model) {
    return {model.names.front(), model.created, model.context_length};
}

// Returns the allowed values of request fields, for clients that show them.
json::object limits_json(const GenerationService& generation) {
    json::object limits{
        // An upper bound: a larger number is allowed and means as much as the context has room for.
        {"max_tokens", generation.model.context_length - 1},
        {"top_k", {0, generation.model.config.vocab_size}},  // 0: all tokens
        {"n", {1, max_choices_together(generation)}},
        {"top_logprobs", {0, max_top_logprobs}},
        {"prompt_logprobs", {0, max_top_logprobs}},
        {"max_prompt_logprobs", generation.config.max_prompt_logprobs},
        {"stop", {{"count", max_stop_strings}, {"bytes", max_stop_bytes}}},
        {"stop_token_ids", {{"count", max_stop_token_ids}}},
        {"logit_bias",
         {{"count", max_logit_biases},
          {"bias", {plain_number(-max_logit_bias), plain_number(max_logit_bias)}}}},
        {"body_bytes", generation.config.max_body_size},
    };
    for (const auto& range : sampling_ranges)
        limits[range.name] = {plain_number(range.min), plain_number(range.max)};
    return limits;
}

// Returns the values that replace absent fields of a request. `max_tokens` is null if the context is the only
// bound.
json::object defaults_json(const GenerationConfig& generation) {
    return {{"temperature", plain_number(generation.temperature)},
            {"top_p", plain_number(generation.top_p)},
            {"min_p", plain_number(generation.min_p)},
            {"top_k", generation.top_k},
            {"repetition_penalty", plain_number(generation.repetition_penalty)},
            {"max_tokens",
             generation.max_new_tokens ? json::value(*generation.max_new_tokens) : json::value(nullptr)}};
}

// Returns {"status": "ready" | "loading" | "draining" | "failed"}, with "progress" in per cent while loading.
std::string health_json(const ServerState& state) {
    const bool loading = state.phase == ServerPhase::starting;
    json::object body{{"status", loading ? "loading" : name_of(state.phase)}};
    if (loading) body["progress"] = state.load_percent.load();
    return json::serialize(body);
}

// Returns facts for the web page and for operators: model, device, limits, defaults, sizes, and the counters
// after the engine's last step.
std::string metadata_json(const ServerState& state, const GenerationService& generation) {
    const auto& config = generation.config;
    const auto& model = generation.model;
    const auto& info = generation.engine.info();
    const auto& now = generation.engine.snapshot();
    json::array examples(model.examples.begin(), model.examples.end());
    json::object body{
        {"version", version_text},
        {"state", name_of(state.phase)},
        {"model",
         {{"id", model.names.front()},
          {"context_length", model.context_length},
          {"num_parameters", model.config.num_parameters()}}},
        {"device", info ? json::value(info->backend) : json::value(nullptr)},
        {"limits", limits_json(generation)},
        {"defaults", defaults_json(model.config.generation)},
        {"kv_cache",
         {{"capacity_tokens", generation.engine.capacity_tokens()}, {"block_size", kv_block_size}}},
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
          {"in_flight", generation.engine.num_in_flight()}}},
        {"examples", std::move(examples)},
    };
    return json::serialize(body);
}

}  // namespace

asio::awaitable<void> handle_version(HttpExchange& exchange) {
    // "version" is the member that vLLM has; "release" and "api" are the members that NIM has.
    auto response = json_response(json::serialize(
        json::object{{"version", version_text}, {"release", version_text}, {"api", version_text}}));
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_license(HttpExchange& exchange) {
    auto response =
        json_response(json::serialize(json::object{{"license", "Apache-2.0"}, {"content", license_text()}}));
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_openapi(HttpExchange& exchange) {
    auto response = json_response(std::string(openapi_text()));
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_models(const ServedModel& model, HttpExchange& exchange) {
    auto response = json_response(models_json(model.names, listed_model(model)));
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_model(const GenerationService& generation, HttpExchange& exchange) {
    const std::string name = exchange.request().path.substr(model_route.size());
    if (name.empty()) {
        auto listing = handle_models(generation.model, exchange);
        co_return co_await std::move(listing);
    }
    const auto served = check_model(generation, name);
    auto response = served ? json_response(model_json(name, listed_model(generation.model)))
                           : error_response(served.error());
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_health(const ServerState& state, HttpExchange& exchange) {
    const bool ready = state.phase == ServerPhase::ready;
    HttpResponse response = json_response(health_json(state), ready ? 200 : 503);
    if (!ready) add_retry_time(response, unknown_wait());
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_live(HttpExchange& exchange) {
    auto response = json_response(R"({"status":"live"})");
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_metadata(const ServerState& state, const GenerationService& generation,
                                      HttpExchange& exchange) {
    auto response = json_response(metadata_json(state, generation));
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> handle_ws_ticket(Gate& gate, HttpExchange& exchange) {
    HttpResponse response;
    response.body = R"({"object":"ws_ticket","ticket":)";
    append_json_string(response.body, gate.issue_ticket(exchange.request().caller));
    response.body += R"(,"expires_in":)";
    append_json_number(response.body, std::int64_t{WsTickets::lifetime.count()});
    response.body += '}';
    co_await exchange.respond(std::move(response));
}

}  // namespace solard::server
