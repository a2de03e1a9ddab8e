// Lets one coroutine sleep until other code notifies it.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>

#include "server/observe/operation_memory.hpp"

namespace solard::server {

// I/O thread only. At most one coroutine may sleep at a time.
class Wakeup {
  public:
    using Clock = std::chrono::steady_clock;

    explicit Wakeup(const boost::asio::any_io_executor& executor) : timer_(executor) {}
    Wakeup(const Wakeup&) = delete;
    Wakeup& operator=(const Wakeup&) = delete;

    // Ends the current sleep. If no coroutine sleeps, the next sleep ends immediately. Repeated calls are
    // cheap.
    void notify() {
        if (!std::exchange(notified_, true)) timer_.cancel();
    }
    // Returns when notified, or at `deadline` at the latest.
    boost::asio::awaitable<void> sleep_until(Clock::time_point deadline) {
        if (!notified_) {
            timer_.expires_at(deadline);
            auto waiting =
                timer_.async_wait(with_memory(memory_, boost::asio::as_tuple(boost::asio::use_awaitable)));
            co_await std::move(waiting);
        }
        notified_ = false;
    }

  private:
    OperationMemory<256> memory_;
    boost::asio::steady_timer timer_;
    bool notified_ = false;
};

}  // namespace solard::server
