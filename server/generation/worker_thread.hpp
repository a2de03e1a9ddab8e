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
#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <type_traits>
#include <utility>

#include "server/config/error.hpp"
#include "server/http/input_charge.hpp"
#include "server/observe/operation_memory.hpp"
#include "server/observe/wakeup.hpp"

namespace solard::server {

// Work on up to this many tokens, such as writing their texts as JSON, is short enough for the event loop.
inline constexpr std::size_t max_inline_tokens = 4096;

// The request to which a job belongs.
struct JobSource {
    std::uint64_t owner = 0;        // Caller::owner
    InputCharge* charge = nullptr;  // of the request's input; may be null; must outlive the job
};

// The type by which a job that completes with T can also fail: T itself if T is a result.
template <class T>
struct AsResultImpl {
    using type = result<T>;
};
template <class T>
struct AsResultImpl<result<T>> {
    using type = result<T>;
};
template <class T>
using AsResult = typename AsResultImpl<T>::type;

// Runs one job at a time. The owners take turns, so that an owner with many jobs does not delay the others.
// Must be used on the I/O thread only. The jobs themselves run on a thread of their own.
class WorkerThread {
  public:
    static constexpr std::size_t max_jobs = 256;

    // Returns false if at least max_jobs jobs exist and the owner already has its equal share of max_jobs,
    // which is at least one job. So an owner below its share may always add a job, and the total grows beyond
    // max_jobs only by such jobs.
    bool has_capacity(std::uint64_t owner) const;

    // Runs `work` on the thread. Completes with the result of `work`, which must be a value and not a
    // reference, or throws the exception of `work`. `work` must hold only values, or references to immutable
    // objects which outlive the thread. If `small` is true, runs `work` on the I/O thread instead. The
    // calling coroutine must run on an io_context. Errors: those of `work`; server_overloaded, if the budget
    // has taken the memory of the request's input back. A job which waits then ends without running.
    template <class Function>
    boost::asio::awaitable<AsResult<std::invoke_result_t<Function>>> offload(JobSource source, bool small,
                                                                             Function work) {
        if (is_refused(source)) co_return no_waiting_memory();
        if (small) co_return work();
        const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
        const auto io = *executor.target<boost::asio::io_context::executor_type>();
        Job job(*this, executor, source);
        while (!job.may_run() && !is_refused(source)) {
            auto waiting = job.wait();
            co_await std::move(waiting);
        }
        if (is_refused(source)) co_return no_waiting_memory();
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
        if (!value) std::rethrow_exception(problem);
        if (is_refused(source)) co_return no_waiting_memory();
        co_return *std::move(value);
    }

    // Waits until the running job is done. The jobs which wait end when their io_context is destroyed.
    void join() { pool_.join(); }

  private:
    // A job which waits or runs. The destructor lets the next job run.
    class Job {
      public:
        Job(WorkerThread& worker, const boost::asio::any_io_executor& executor, JobSource source);
        Job(const Job&) = delete;
        Job& operator=(const Job&) = delete;
        ~Job();

        bool may_run() const { return worker_.running_ == this; }
        // Returns when the job may run, or when its charge was refused.
        boost::asio::awaitable<void> wait() { return wakeup_.sleep_until(Wakeup::Clock::time_point::max()); }

      private:
        WorkerThread& worker_;
        InputCharge* charge_;
        Wakeup wakeup_;
        std::multimap<std::uint64_t, Job*>::iterator position_;
    };

    static bool is_refused(JobSource source) {
        return source.charge != nullptr && source.charge->is_refused();
    }

    boost::asio::thread_pool pool_{1};
    // All jobs by their owners. The jobs of one owner are in the order of their arrival.
    std::multimap<std::uint64_t, Job*> jobs_;
    Job* running_ = nullptr;  // null if there is no job
};

}  // namespace solard::server
