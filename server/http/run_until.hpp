// Work that something else may end early.
#pragma once

#include <boost/asio/awaitable.hpp>

namespace solard::server {

// Runs `work` beside `stop` until one of them completes, and cancels the other. What `work` throws is thrown
// here; an exception of `stop` counts as nothing. Single-threaded: both run on the caller's executor.
boost::asio::awaitable<void> run_until(boost::asio::awaitable<void> work, boost::asio::awaitable<void> stop);

}  // namespace solard::server
