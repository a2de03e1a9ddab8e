// One client connection: requests one after another, each with its limits and deadlines.
#pragma once

#include <boost/asio/awaitable.hpp>

#include "server/http/stream.hpp"

namespace solard::server {

class App;

// Runs until the client leaves, a deadline passes or the server drains. Never throws for what a client does.
boost::asio::awaitable<void> run_http_session(App* app, Stream stream, bool turned_away);

}  // namespace solard::server
