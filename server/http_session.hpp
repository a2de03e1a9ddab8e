// Serves one client connection: its requests one after another, each within limits of size and time.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/app.hpp"
#include "server/http/stream.hpp"

namespace solard::server {

// Runs until the client leaves, a deadline passes or the server drains. `over_limit`: the server has reached
// its connection limit, so the first request is the last one, and is refused unless its route says otherwise.
// Nothing that a client does makes this function throw.
boost::asio::awaitable<void> run_http_session(App* app, Stream stream, bool over_limit);

}  // namespace solard::server
