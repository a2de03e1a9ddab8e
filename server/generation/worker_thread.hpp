// A thread for work which would block the event loop for too long.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "server/observe/operation_memory.hpp"

namespace solard::server {

// Work on up to this many tokens, such as writing their texts as JSON, is short enough for the event loop.
inline constexpr std::size_t max_inline_tokens = 4096;

// Must be used on the I/O thread only. The jobs themselves run on a thread of their own.
class WorkerThread {
  public:
    // Returns the number of jobs which wait or run.
    std::size_t num_jobs() const { return num_jobs_; }

    // Runs `work` on the thread. Completes with the result of `work`, which must be a value and not a
    // reference, or throws the exception of `work`. `work` must hold only values, or references to immutable
    // objects which outlive the thread. If `small` is true, runs `work` on the I/O thread instead. The
    // calling coroutine must run on an io_context.
    template <class Function>
    boost::asio::awaitable<std::invoke_result_t<Function>> offload(bool small, Function work) {
        if (small) co_return work();
        const Job job(num_jobs_);
        const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
        const auto io = *executor.target<boost::asio::io_context::executor_type>();
        std::optional<std::invoke_result_t<Function>> value;
        std::exception_ptr problem;
        const auto run = [&]() noexcept {
            try {
                value.emplace(work());
            } catch (...) {
                problem = std::current_exception();
            }
        };
        OperationMemory<192> memory;  // for the post to the thread, and then for the post back
        auto running = boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void()>(
            [&](auto resume) {
                auto job_on_thread = [&, resume = std::move(resume)]() mutable {
                    run();
                    auto back = [resume = std::move(resume)]() mutable { std::move(resume)(); };
                    boost::asio::post(io, with_memory(memory, std::move(back)));
                };
                boost::asio::post(pool_, with_memory(memory, std::move(job_on_thread)));
            },
            boost::asio::use_awaitable);
        co_await std::move(running);
        if (problem) std::rethrow_exception(problem);
        co_return *std::move(value);
    }

    // Waits until all jobs are done.
    void join() { pool_.join(); }

  private:
    // num_jobs() counts the existing objects of this class.
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
