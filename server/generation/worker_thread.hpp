// A thread for work which would block the event loop for too long.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace solard::server {

// Work on up to this many tokens, such as their texts as JSON, is short enough for the event loop.
inline constexpr std::size_t max_inline_tokens = 4096;

// Is used on the I/O thread only. The jobs themselves run on a thread of their own.
class WorkerThread {
  public:
    // Returns the number of jobs which wait or run.
    std::size_t num_jobs() const { return num_jobs_; }

    // Runs `work` on the thread and completes with its result, which must be a value. `work` must hold only
    // values, or references to immutable objects which outlive the thread. If `small` is true, `work` runs at
    // once on the I/O thread.
    template <class Function>
    boost::asio::awaitable<std::invoke_result_t<Function>> offload(bool small, Function work) {
        if (small) co_return work();
        const Job job(num_jobs_);
        auto task = [](Function function) -> boost::asio::awaitable<std::invoke_result_t<Function>> {
            co_return function();
        }(std::move(work));
        co_return co_await boost::asio::co_spawn(pool_, std::move(task), boost::asio::use_awaitable);
    }

    // Waits until all jobs are done.
    void join() { pool_.join(); }

  private:
    // Is counted in num_jobs() while it exists.
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
