// One socket of /v1/responses. A reader handles the client's messages, and a writer takes new events from the
// logs of the socket's responses, one at a time: no events queue up for a slow client.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/http/stream.hpp"
#include "server/observe/server_state.hpp"
#include "server/responses/response_service.hpp"
#include "server/ws/handshake.hpp"

namespace solard::server {

// Serves the socket until either side closes it. `responses` and `state` must outlive the coroutine.
boost::asio::awaitable<void> run_ws_session(ResponseService* responses, ServerState* state, Stream stream,
                                            WsUpgrade upgrade);

}  // namespace solard::server
