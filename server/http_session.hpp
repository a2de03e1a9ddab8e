// One client connection: requests one after another, each with its limits and deadlines.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/app.hpp"
#include "server/http/stream.hpp"

namespace solard::server {

// Runs until the client leaves, a deadline passes or the server drains. `over_limit`: the connection is one
// too many, and its first request is told so. Never throws for what a client does.
boost::asio::awaitable<void> run_http_session(App* app, Stream stream, bool over_limit);

}  // namespace solard::server
