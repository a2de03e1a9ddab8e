// Writes one generated answer, whole or streamed, to its client. Ends the generation if the client leaves.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>

#include "server/api/answer_json.hpp"
#include "server/config/error.hpp"
#include "server/generation/generation_service.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {

// An accepted generation and the form in which its answer is written.
struct PendingAnswer {
    std::unique_ptr<AnswerWriter> writer;
    Generation generation;
};

// Sends the answer, or the error in `pending`. Sends idle bytes whenever a stream has been silent for
// --keep-alive-interval. Throws system_error if the client is gone.
boost::asio::awaitable<void> send_completion(HttpExchange& exchange, result<PendingAnswer> pending,
                                             GenerationService& service);

}  // namespace solard::server
