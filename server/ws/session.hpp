// One socket of /v1/responses: a reader that acts on the client's messages, and a writer that pulls what is
// new from the logs of the socket's responses. Nothing else queues up for a slow client.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/http/stream.hpp"
#include "server/ws/handshake.hpp"

namespace solard::server {

class App;

// Serves until either side closes. `app` outlives the coroutine.
boost::asio::awaitable<void> run_ws_session(App* app, Stream stream, WsUpgrade upgrade);

}  // namespace solard::server
