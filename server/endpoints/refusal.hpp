// Sends the answers to requests which the server refuses because it has too much to do.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/config/error.hpp"
#include "server/generation/generation_service.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {

// Waits until the caller may get its next refusal (GenerationService::refusal_delay()).
boost::asio::awaitable<void> wait_for_slot(GenerationService& service, HttpExchange& exchange, errc code);

// Waits as wait_for_slot() does, and then sends the answer for `error`. Throws system_error if the client is
// gone.
boost::asio::awaitable<void> refuse(GenerationService& service, HttpExchange& exchange, Error error);

}  // namespace solard::server
