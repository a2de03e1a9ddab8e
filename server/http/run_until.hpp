// Runs work that another event may end early.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace solard::server {

// Runs `work` beside `stop` until one of them completes, and then cancels the other. An exception of `work`
// is thrown again unless `stop` completed first; an exception of `stop` is ignored. Both run on the caller's
// executor, which must be single-threaded.
boost::asio::awaitable<void> run_until(boost::asio::awaitable<void> work, boost::asio::awaitable<void> stop);

}  // namespace solard::server
