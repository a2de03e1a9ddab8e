// /v1/responses over HTTP: creates, follows, reads, cancels and deletes responses.
#include <algorithm>
#include <boost/json/value.hpp>
#include <charconv>
#include <functional>
#include <utility>

#include "inference/text/utf8.hpp"
#include "server/api/error.hpp"
#include "server/api/fields.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/endpoints/refusal.hpp"
#include "server/generation/parse_body.hpp"
#include "server/http/document_response.hpp"
#include "server/http/error_response.hpp"
#include "server/http/run_until.hpp"
#include "server/http/sse_writer.hpp"
#include "server/responses/response_cursor.hpp"
#include "server/responses/response_service.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

constexpr std::string_view route = "/v1/responses/";

asio::awaitable<void> stream_events(ResponseService& responses, HttpExchange& exchange, ResponsePtr record,
                                    std::int64_t starting_after) {
    Wakeup wakeup(exchange.executor());
    ResponseCursor cursor(record, responses.generation().tokenizer, wakeup, {}, starting_after);
    SseWriter sse(exchange);
    const auto keep_alive_interval = responses.generation().config.keep_alive_interval;
    auto silent_until = Wakeup::Clock::now() + keep_alive_interval;
    for (;;) {
        const auto now = Wakeup::Clock::now();
        while (sse.buffer().size() < ResponseCursor::max_piece_bytes && cursor.next(now, sse.buffer())) {
        }
        if (cursor.is_broken()) co_return exchange.abandon();
        if (cursor.at_end()) break;
        if (sse.buffer().empty() && now < silent_until) {
            co_await wakeup.sleep_until(std::min(cursor.due(), silent_until));
            continue;
        }
        if (sse.buffer().empty()) sse.buffer() += idle_bytes;
        co_await sse.flush();
        silent_until = Wakeup::Clock::now() + keep_alive_interval;
    }
    if (const auto& failure = record->log->failure(); failure && failure->code != errc::request_cancelled)
        exchange.note_error(failure->code);
    // If the client already has every event, there is nothing to send. Idle bytes make sure that the client
    // still gets an answer.
    if (!exchange.header_sent() && sse.buffer().empty()) sse.buffer() += idle_bytes;
    co_await sse.end();
}

// Sends the response object in its present state.
asio::awaitable<void> send_object(ResponseService& responses, HttpExchange& exchange, ResponsePtr record) {
    ResponseState state = record->state();
    Document object;
    append_response(object, record->facts, state, responses.generation().tokenizer);
    std::function<bool()> reread = [&] {
        const ResponseState now = record->state();
        const bool same =
            now.text.size() == state.text.size() && now.logprobs.size() == state.logprobs.size();
        if (same) state = now;
        return same;
    };
    auto sending = send_document(exchange, object, std::move(reread));
    co_await std::move(sending);
}

// Answers with an error the request that created a failed response.
asio::awaitable<void> send_failure(ResponseService& responses, HttpExchange& exchange, Error failure) {
    co_await wait_for_slot(responses.generation(), exchange, failure.code);
    auto response = error_response(failure);
    co_await exchange.respond(std::move(response));
}

asio::awaitable<void> whole_response(ResponseService& responses, HttpExchange& exchange, ResponsePtr record) {
    Wakeup wakeup(exchange.executor());
    LogReader reader(*record->log, wakeup);
    co_await reader.wait_terminal();
    const ResponseState state = record->state();
    auto sending = state.status == ResponseStatus::failed ? send_failure(responses, exchange, *state.failure)
                                                          : send_object(responses, exchange, record);
    co_await std::move(sending);
}

// Sends the events of a response which this exchange has created. No status line is sent while the response
// waits in the queue, so a response that loses its place there ends with an error status. If the wait
// takes longer than the keep-alive interval, the stream begins, and the response keeps its place.
asio::awaitable<void> stream_new_response(ResponseService& responses, HttpExchange& exchange,
                                          ResponsePtr record) {
    Wakeup wakeup(exchange.executor());
    LogReader reader(*record->log, wakeup);
    co_await reader.wait_started(responses.generation().config.keep_alive_interval);
    const ResponseState state = record->state();
    const auto& running = record->running;
    if (state.status != ResponseStatus::failed && running) running->keep_place();
    auto sending = state.status == ResponseStatus::failed ? send_failure(responses, exchange, *state.failure)
                                                          : stream_events(responses, exchange, record, -1);
    co_await std::move(sending);
}

struct ParsedRequest {
    ResponseRequest request;
    ResponsePtr parent;  // the response that the request continues; null if there is none or it is unknown
};

asio::awaitable<result<ParsedRequest>> parse(ResponseService& responses, HttpExchange& exchange,
                                             JobSource source) {
    const auto parse_request = [](const std::string& body, UnknownFields unknown) {
        return parse_response_request(body, unknown);
    };
    auto parsing = parse_body(responses.generation(), source, exchange.take_body(), parse_request);
    auto request = co_await std::move(parsing);
    if (!request) co_return request.error();
    ParsedRequest parsed{*std::move(request), nullptr};
    if (const auto& id = parsed.request.previous_response_id)
        parsed.parent = responses.find_or_null(*id, exchange.request().caller);
    co_return parsed;
}

asio::awaitable<result<ResponsePtr>> create(ResponseService& responses, HttpExchange& exchange) {
    // The charge ends when the request was admitted or refused.
    const auto charge = exchange.take_body_charge();
    const JobSource source{exchange.request().caller.owner, charge.get()};
    auto parsing = parse(responses, exchange, source);
    auto parsed = co_await std::move(parsing);
    if (!parsed) co_return parsed.error();
    auto creating = responses.create(std::move(parsed->request), exchange.request().caller,
                                     std::move(parsed->parent), charge.get());
    co_return co_await std::move(creating);
}

// Returns the value of `name` in a query, not percent-decoded; empty if the query does not have it.
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
    ResponsePtr record;
    bool stream = false;
    std::int64_t starting_after = -1;
};

result<ReadRequest> parse_read(ResponseService& responses, const HttpRequest& http) {
    auto record = responses.find(http.path.substr(route.size()), http.caller);
    if (!record) return record.error();
    ReadRequest read{*std::move(record)};
    read.stream = query_value(http.query, "stream") == "true";
    if (const auto after = query_value(http.query, "starting_after"); !after.empty()) {
        const auto [end, ec] =
            std::from_chars(after.data(), after.data() + after.size(), read.starting_after);
        if (ec != std::errc{} || end != after.data() + after.size() || read.starting_after < 0) {
            const boost::json::value found(valid_utf8(after));  // the error message contains this value
            return wrong_field("starting_after", "a non-negative integer", &found);
        }
    }
    if (read.stream) {
        if (auto allowed = check_num_followers(*read.record); !allowed) return allowed.error();
    }
    return read;
}

// Cancels the response which the path names, and returns this response.
result<ResponsePtr> cancel(ResponseService& responses, const HttpRequest& http) {
    std::string_view id = std::string_view(http.path).substr(route.size());
    id.remove_suffix(std::string_view("/cancel").size());
    auto record = responses.find(std::string(id), http.caller);
    if (!record) return record.error();
    if ((*record)->log->terminal()) return default_error(errc::response_already_completed);
    cancel_response(**record);
    return *std::move(record);
}

result<HttpResponse> erase(ResponseService& responses, const HttpRequest& http) {
    const std::string id = http.path.substr(route.size());
    auto record = responses.find(std::string(id), http.caller);
    if (!record) return record.error();
    responses.erase(*record);
    HttpResponse response;
    response.body = deleted_response_json(id);
    return response;
}

asio::awaitable<result<HttpResponse>> count_input(ResponseService& responses, HttpExchange& exchange) {
    const auto charge = exchange.take_body_charge();
    const JobSource source{exchange.request().caller.owner, charge.get()};
    auto parsing = parse(responses, exchange, source);
    auto parsed = co_await std::move(parsing);
    if (!parsed) co_return parsed.error();
    auto counting = responses.count_input(std::move(parsed->request), std::move(parsed->parent), source);
    const auto counted = co_await std::move(counting);
    if (!counted) co_return counted.error();
    HttpResponse response;
    response.body = input_tokens_json(*counted);
    co_return response;
}

}  // namespace

asio::awaitable<void> handle_create_response(ResponseService& responses, HttpExchange& exchange) {
    auto record = co_await create(responses, exchange);
    if (!record) {
        auto refusing = refuse(responses.generation(), exchange, record.error());
        co_return co_await std::move(refusing);
    }
    const ResponseFollower follower(responses, *record);
    auto writing = (*record)->facts.request.generation.stream
                       ? stream_new_response(responses, exchange, *record)
                       : whole_response(responses, exchange, *record);
    auto gone = exchange.client_gone();
    co_await run_until(std::move(writing), std::move(gone));
}

asio::awaitable<void> handle_get_response(ResponseService& responses, HttpExchange& exchange) {
    auto read = parse_read(responses, exchange.request());
    if (!read) {
        auto refusing = refuse(responses.generation(), exchange, read.error());
        co_return co_await std::move(refusing);
    }
    if (!read->stream) {
        auto sending = send_object(responses, exchange, read->record);
        co_return co_await std::move(sending);
    }
    const ResponseFollower follower(responses, read->record);
    const auto& running = read->record->running;
    if (running) running->keep_place();  // the answer begins at once
    auto writing = stream_events(responses, exchange, read->record, read->starting_after);
    auto gone = exchange.client_gone();
    co_await run_until(std::move(writing), std::move(gone));
}

asio::awaitable<void> handle_cancel_response(ResponseService& responses, HttpExchange& exchange) {
    auto record = cancel(responses, exchange.request());
    if (!record) {
        auto refusal = error_response(record.error());
        co_return co_await exchange.respond(std::move(refusal));
    }
    auto sending = send_object(responses, exchange, *std::move(record));
    co_await std::move(sending);
}

asio::awaitable<void> handle_delete_response(ResponseService& responses, HttpExchange& exchange) {
    auto responding = respond(exchange, erase(responses, exchange.request()));
    co_await std::move(responding);
}

asio::awaitable<void> handle_input_tokens(ResponseService& responses, HttpExchange& exchange) {
    auto counted = co_await count_input(responses, exchange);
    co_await respond(exchange, std::move(counted));
}

}  // namespace solard::server
