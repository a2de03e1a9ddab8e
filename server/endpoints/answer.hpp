// Writes one generated answer, whole or streamed, to whoever asked; ends the generation when they leave.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>

#include "server/api/answer_json.hpp"
#include "server/config/error.hpp"
#include "server/generation/admission.hpp"

namespace solard::server {

class App;
class HttpExchange;

// An accepted answer and the form it is written in.
struct PendingAnswer {
    std::unique_ptr<AnswerWriter> writer;
    Admitted admitted;
};

// The id begins with `prefix` ("chatcmpl-").
AnswerIdentity make_identity(const App& app, std::string_view prefix);

// Also answers the refusal that `pending` may be.
boost::asio::awaitable<void> answer(const App& app, HttpExchange& exchange, result<PendingAnswer> pending);

}  // namespace solard::server
