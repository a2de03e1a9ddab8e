// Parses request bodies; a long body is parsed on the worker thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#include "server/generation/generation_service.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {

// Parsing a body of this size takes about one millisecond of the event loop.
inline constexpr std::size_t max_inline_parse_bytes = 64 << 10;

// Completes with parse(body, unknown_fields). `parse` may run on the worker thread, so it must not hold
// references to objects which can change.
template <class Parse>
boost::asio::awaitable<std::invoke_result_t<Parse, const std::string&, UnknownFields>> parse_body(
    GenerationService& generation, std::string body, Parse parse) {
    const bool is_short = body.size() <= max_inline_parse_bytes;
    auto work = [body = std::move(body), unknown = generation.unknown_fields(), parse = std::move(parse)] {
        return parse(body, unknown);
    };
    auto parsing = generation.worker.offload(is_short, std::move(work));
    co_return co_await std::move(parsing);
}

// Parses the body of the exchange's request as the function above does. Takes the body and its memory charge
// out of the exchange. Has one more error: server_overloaded, if the budget takes the body's memory back
// before the body is parsed.
template <class Parse>
boost::asio::awaitable<std::invoke_result_t<Parse, const std::string&, UnknownFields>> parse_body(
    GenerationService& generation, HttpExchange& exchange, Parse parse) {
    const auto charge = exchange.take_body_charge();
    auto parse_unless_refused =
        [parse = std::move(parse), refused = charge ? charge->refused_flag() : nullptr](
            const std::string& body,
            UnknownFields unknown) -> std::invoke_result_t<Parse, const std::string&, UnknownFields> {
        if (refused && *refused) return no_waiting_memory();
        return parse(body, unknown);
    };
    auto parsing = parse_body(generation, exchange.take_body(), std::move(parse_unless_refused));
    co_return co_await std::move(parsing);
}

}  // namespace solard::server
