// Serves one client connection: its requests one after another, each within limits of size and time.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/app.hpp"
#include "server/http/stream.hpp"

namespace solard::server {

// Runs until the client leaves, a deadline passes or the server drains. `over_limit`: the server has reached
// its connection limit. The session then serves only one request, and refuses it unless its route has
// AtLimit::answered. No behaviour of a client makes this function throw.
boost::asio::awaitable<void> run_http_session(App* app, Stream stream, bool over_limit);

}  // namespace solard::server
