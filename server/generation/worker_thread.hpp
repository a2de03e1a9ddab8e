// A thread for work that would hold up the event loop.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace solard::server {

// I/O thread only, but for the work itself.
class WorkerThread {
  public:
    // Jobs that wait or run.
    std::size_t num_jobs() const { return num_jobs_; }

    // Runs `work` on the thread and completes with what it returns; `work` takes values and returns a value.
    // Work that is `small` is done at once on the I/O thread.
    template <class Function>
    boost::asio::awaitable<std::invoke_result_t<Function>> offload(bool small, Function work) {
        if (small) co_return work();
        const Job job(num_jobs_);
        auto task = [](Function function) -> boost::asio::awaitable<std::invoke_result_t<Function>> {
            co_return function();
        }(std::move(work));
        co_return co_await boost::asio::co_spawn(pool_, std::move(task), boost::asio::use_awaitable);
    }

    // Waits until all work is done.
    void join() { pool_.join(); }

  private:
    // Counts while it exists.
    class Job {
      public:
        explicit Job(std::size_t& count) : count_(count) { ++count_; }
        Job(const Job&) = delete;
        Job& operator=(const Job&) = delete;
        ~Job() { --count_; }

      private:
        std::size_t& count_;
    };

    boost::asio::thread_pool pool_{1};
    std::size_t num_jobs_ = 0;
};

}  // namespace solard::server
