// Parses request bodies; a long body is parsed on the worker thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#include "server/generation/generation_service.hpp"

namespace solard::server {

// Parsing a body of this size takes about one millisecond of the event loop.
inline constexpr std::size_t max_inline_parse_bytes = 64 << 10;

// Completes with parse(body, unknown_fields). `parse` may run on the worker thread, so it must not hold
// references to objects which can change. Errors: those of `parse` and of WorkerThread::offload().
template <class Parse>
boost::asio::awaitable<AsResult<std::invoke_result_t<Parse, const std::string&, UnknownFields>>> parse_body(
    GenerationService& generation, JobSource source, std::string body, Parse parse) {
    const bool is_short = body.size() <= max_inline_parse_bytes;
    auto work = [body = std::move(body), unknown = generation.unknown_fields(), parse = std::move(parse)] {
        return parse(body, unknown);
    };
    auto parsing = generation.worker.offload(source, is_short, std::move(work));
    co_return co_await std::move(parsing);
}

}  // namespace solard::server
