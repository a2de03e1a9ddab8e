// Runs work that another event may end early.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace solard::server {

// Runs `work` beside `stop` until one of them completes, and then cancels the other. The first one to
// complete decides: its exception, if any, is thrown again, and an exception of the other one is ignored.
// Throws std::bad_alloc if one of them cannot continue because memory is missing. Both run on the caller's
// executor, which must be single-threaded. The caller must not be cancelled meanwhile.
boost::asio::awaitable<void> run_until(boost::asio::awaitable<void> work, boost::asio::awaitable<void> stop);

}  // namespace solard::server
