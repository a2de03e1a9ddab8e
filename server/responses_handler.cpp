// /v1/responses over HTTP: create, follow, read, cancel, forget.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <exception>
#include <utility>

#include "server/answer.hpp"
#include "server/api/error.hpp"
#include "server/app.hpp"
#include "server/handlers.hpp"
#include "server/helper.hpp"
#include "server/http_exchange.hpp"
#include "server/log.hpp"
#include "server/run_until.hpp"
#include "server/sse_writer.hpp"

namespace solard {
namespace {

namespace asio = boost::asio;

using RecordPtr = std::shared_ptr<ResponseRecord>;

constexpr std::string_view route = "/v1/responses/";
constexpr std::chrono::seconds detached_time{30};  // of a resumable response that nobody follows

// Everybody without a key is one and the same to the store.
std::uint64_t owner_of(const Caller& caller) {
    return caller.key ? *caller.key + 1 : 0;
}

void log_failure(const std::exception_ptr& problem) {
    if (!problem) return;
    try {
        std::rethrow_exception(problem);
    } catch (const std::exception& e) {
        log(LogLevel::error, std::string("a response was not watched to its end: ") + e.what());
    }
}

// Its place in the engine and its quota end with the answer, however long it is stored.
asio::awaitable<void> let_go_at_end(RecordPtr record, asio::any_io_executor executor) {
    LogReader reader(*record->log, executor);
    co_await reader.wait_terminal();
    record->running.reset();
}

asio::awaitable<void> cancel_unless_followed(RecordPtr record, asio::any_io_executor executor) {
    asio::steady_timer timer(executor, detached_time);
    co_await timer.async_wait(asio::use_awaitable);
    if (record->num_readers == 0) record->running.reset();
}

// One who follows a response as it grows. When the last one leaves before the end, the response ends too.
class Follower {
  public:
    Follower(App& app, RecordPtr record) : app_(app), record_(std::move(record)) { ++record_->num_readers; }
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;
    ~Follower() {
        if (--record_->num_readers > 0 || !record_->running || record_->log->terminal()) return;
        if (record_->facts.request.resumable && record_->facts.request.store) {
            asio::co_spawn(app_.io, cancel_unless_followed(record_, app_.io.get_executor()), log_failure);
        } else {
            record_->running.reset();
        }
    }

  private:
    App& app_;
    RecordPtr record_;
};

asio::awaitable<void> stream_events(App& app, HttpExchange& exchange, RecordPtr record,
                                    std::int64_t starting_after) {
    SseWriter sse(exchange);
    ResponseEvents events(record->facts, app.tokenizer, starting_after, sse.buffer());
    LogReader reader(*record->log, exchange.executor(), events.first_entry());
    for (;;) {
        const auto& deltas = reader.read();
        events.write(record->state(), deltas.empty() ? nullptr : &deltas.front(), reader.position());
        if (record->log->terminal()) break;
        co_await sse.flush();
        const bool news = co_await reader.wait(app.config.keep_alive_interval);
        if (!news) co_await sse.idle();
    }
    // One who has everything already gets an empty stream and not no answer.
    if (!exchange.header_sent() && sse.buffer().empty()) co_await sse.idle();
    co_await sse.end();
}

asio::awaitable<void> whole_response(App& app, HttpExchange& exchange, RecordPtr record) {
    LogReader reader(*record->log, exchange.executor());
    co_await reader.wait_terminal();
    const ResponseState state = record->state();
    HttpResponse response;
    if (state.status == ResponseStatus::failed) {
        response = error_response(*state.failure);
    } else {
        response.body = response_json(record->facts, state, app.tokenizer);
    }
    co_await exchange.respond(std::move(response));
}

// The messages of the parent's prompt and its answer.
result<std::vector<ChatMessage>> lineage(App& app, const ResponseRequest& request, const Caller& caller) {
    if (!request.previous_response_id) return std::vector<ChatMessage>();
    const auto parent =
        app.responses.find(*request.previous_response_id, owner_of(caller), ResponseStore::Clock::now());
    if (!parent || !parent->log->terminal() || parent->state().status == ResponseStatus::failed)
        return Error{errc::previous_response_not_found, "There is no finished response of that id.",
                     "previous_response_id"};
    std::vector<ChatMessage> messages = parent->conversation;
    messages.push_back({Role::assistant, std::string(parent->state().text)});
    return messages;
}

struct Prepared {
    ResponseRequest request;
    std::vector<ChatMessage> conversation;  // without the instructions, which are not inherited
    std::vector<TokenId> token_ids;
};

asio::awaitable<result<Prepared>> prepare(App& app, const HttpRequest& http) {
    auto parsing = run_on_helper(
        app, http.body.size() <= parse_inline_bytes,
        [body = http.body, unknown = app.unknown_fields()] { return parse_response_request(body, unknown); });
    auto request = co_await std::move(parsing);
    if (!request) co_return request.error();
    if (auto served = check_model(app, request->generation.model); !served) co_return served.error();
    auto conversation = lineage(app, *request, http.caller);
    if (!conversation) co_return conversation.error();
    for (auto& message : request->input) conversation->push_back(std::move(message));
    std::vector<ChatMessage> messages{{Role::system, request->instructions.value_or("")}};  // empty: left out
    messages.insert(messages.end(), conversation->begin(), conversation->end());
    auto encoding = encode_prompt(app, render_solar_prompt(messages), "input");
    auto token_ids = co_await std::move(encoding);
    if (!token_ids) co_return token_ids.error();
    Prepared prepared{*std::move(request), *std::move(conversation), *std::move(token_ids)};
    co_return prepared;
}

asio::awaitable<result<RecordPtr>> create(App& app, const HttpRequest& http) {
    if (auto open = app.engine.check_open(); !open) co_return open.error();
    auto preparing = prepare(app, http);
    auto prepared = co_await std::move(preparing);
    if (!prepared) co_return prepared.error();
    auto record = std::make_shared<ResponseRecord>();
    const auto identity = make_identity(app, "resp_");
    record->owner = owner_of(http.caller);
    record->facts = {.id = identity.id,
                     .item_id = make_identity(app, "msg_").id,
                     .model = identity.model,
                     .created_at = identity.created,
                     .temperature = prepared->request.generation.sampling.temperature.value_or(
                         app.model.config.default_temperature.value_or(1.0)),
                     .top_p = prepared->request.generation.sampling.top_p.value_or(
                         app.model.config.default_top_p.value_or(1.0)),
                     .request = std::move(prepared->request)};
    record->conversation = std::move(prepared->conversation);
    std::vector<std::vector<TokenId>> prompts;
    prompts.push_back(std::move(prepared->token_ids));
    auto admitted = admit(app, record->facts.request.generation, http.caller, std::move(prompts), "input");
    if (!admitted) co_return admitted.error();
    record->prompt_tokens = admitted->prompt_tokens();
    record->max_tokens = admitted->max_tokens();
    record->log = admitted->shared_log();
    record->running.emplace(*std::move(admitted));
    asio::co_spawn(app.io, let_go_at_end(record, app.io.get_executor()), log_failure);
    if (record->facts.request.store) app.responses.insert(record, ResponseStore::Clock::now());
    co_return record;
}

// The value of `name` in a query, as it stands there; empty if it does not.
std::string_view query_value(std::string_view query, std::string_view name) {
    while (!query.empty()) {
        const auto field = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(field.size() + 1, query.size()));
        const auto equals = field.find('=');
        if (equals != std::string_view::npos && field.substr(0, equals) == name)
            return field.substr(equals + 1);
    }
    return {};
}

struct ReadRequest {
    RecordPtr record;
    bool stream = false;
    std::int64_t starting_after = -1;
};

result<RecordPtr> find_record(App& app, const HttpRequest& http, std::string_view id) {
    auto record = app.responses.find(std::string(id), owner_of(http.caller), ResponseStore::Clock::now());
    if (!record) return Error{errc::response_not_found, std::string(message_of(errc::response_not_found))};
    return record;
}

result<ReadRequest> parse_read(App& app, const HttpRequest& http) {
    auto record = find_record(app, http, std::string_view(http.path).substr(route.size()));
    if (!record) return record.error();
    ReadRequest read{*std::move(record)};
    read.stream = query_value(http.query, "stream") == "true";
    if (const auto after = query_value(http.query, "starting_after"); !after.empty()) {
        const auto [end, ec] =
            std::from_chars(after.data(), after.data() + after.size(), read.starting_after);
        if (ec != std::errc{} || end != after.data() + after.size() || read.starting_after < 0)
            return Error{errc::invalid_value, "starting_after must be a whole number from 0.",
                         "starting_after"};
    }
    return read;
}

result<HttpResponse> cancel(App& app, const HttpRequest& http) {
    std::string_view id = std::string_view(http.path).substr(route.size());
    id.remove_suffix(std::string_view("/cancel").size());
    auto record = find_record(app, http, id);
    if (!record) return record.error();
    if ((*record)->log->terminal())
        return Error{errc::response_already_completed,
                     std::string(message_of(errc::response_already_completed))};
    (*record)->running.reset();
    HttpResponse response;
    response.body = response_json((*record)->facts, (*record)->state(), app.tokenizer);
    return response;
}

result<HttpResponse> forget(App& app, const HttpRequest& http) {
    const std::string id = http.path.substr(route.size());
    auto record = find_record(app, http, id);
    if (!record) return record.error();
    (*record)->running.reset();
    app.responses.erase(id, (*record)->owner, ResponseStore::Clock::now());
    HttpResponse response;
    response.body = deleted_response_json(id);
    return response;
}

asio::awaitable<result<HttpResponse>> count_input(App& app, const HttpRequest& http) {
    auto preparing = prepare(app, http);
    const auto prepared = co_await std::move(preparing);
    if (!prepared) co_return prepared.error();
    HttpResponse response;
    response.body = input_tokens_json(prepared->token_ids.size());
    co_return response;
}

}  // namespace

asio::awaitable<void> handle_create_response(App& app, HttpExchange& exchange) {
    auto record = co_await create(app, exchange.request());
    if (!record) {
        auto refusal = error_response(record.error());
        co_return co_await exchange.respond(std::move(refusal));
    }
    const Follower follower(app, *record);
    auto writing = (*record)->facts.request.generation.stream ? stream_events(app, exchange, *record, -1)
                                                              : whole_response(app, exchange, *record);
    auto gone = exchange.client_gone();
    co_await run_until(std::move(writing), std::move(gone));
}

asio::awaitable<void> handle_get_response(App& app, HttpExchange& exchange) {
    auto read = parse_read(app, exchange.request());
    if (!read || !read->stream) {
        result<HttpResponse> response = HttpResponse{};
        if (read) {
            response->body = response_json(read->record->facts, read->record->state(), app.tokenizer);
        } else {
            response = read.error();
        }
        auto responding = respond(exchange, std::move(response));
        co_return co_await std::move(responding);
    }
    const Follower follower(app, read->record);
    auto writing = stream_events(app, exchange, read->record, read->starting_after);
    auto gone = exchange.client_gone();
    co_await run_until(std::move(writing), std::move(gone));
}

asio::awaitable<void> handle_cancel_response(App& app, HttpExchange& exchange) {
    auto responding = respond(exchange, cancel(app, exchange.request()));
    co_await std::move(responding);
}

asio::awaitable<void> handle_delete_response(App& app, HttpExchange& exchange) {
    auto responding = respond(exchange, forget(app, exchange.request()));
    co_await std::move(responding);
}

asio::awaitable<void> handle_input_tokens(App& app, HttpExchange& exchange) {
    auto counted = co_await count_input(app, exchange.request());
    co_await respond(exchange, std::move(counted));
}

}  // namespace solard
