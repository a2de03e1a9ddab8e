// One socket of /v1/responses: a reader that acts on the client's messages, and a writer that pulls what is
// new from the logs of the socket's responses. Nothing else queues up for a slow client.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/http/stream.hpp"
#include "server/observe/server_state.hpp"
#include "server/responses/response_service.hpp"
#include "server/ws/handshake.hpp"

namespace solard::server {

// Serves until either side closes. `responses` and `state` outlive the coroutine.
boost::asio::awaitable<void> run_ws_session(ResponseService* responses, ServerState* state, Stream stream,
                                            WsUpgrade upgrade);

}  // namespace solard::server
