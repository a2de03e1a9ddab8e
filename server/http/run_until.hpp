// Runs work that another event may end early.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace solard::server {

// Runs the coroutines `work` and `stop` at the same time until one of them completes, and then cancels the
// other coroutine. If the coroutine that completed first has thrown an exception, throws this exception
// again. An exception of the other coroutine is ignored. Throws std::bad_alloc if `work` or `stop` cannot
// continue because memory is missing. Both coroutines run on the caller's executor, which must be
// single-threaded. The caller must not be cancelled before run_until() completes.
boost::asio::awaitable<void> run_until(boost::asio::awaitable<void> work, boost::asio::awaitable<void> stop);

}  // namespace solard::server
