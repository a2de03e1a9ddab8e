// Starts a coroutine whose end is always reported, even if memory is missing.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "server/observe/operation_memory.hpp"

namespace solard::server {

// The completion handler of spawn(). If the handler is destroyed without being called, the coroutine was
// destroyed before its end. Then the destructor reports std::bad_alloc.
template <class OnEnd>
class EndHandler {
  public:
    EndHandler(const boost::asio::io_context::executor_type& executor, OnEnd on_end)
        : report_(std::make_unique<Report>(executor, std::move(on_end))) {}
    EndHandler(EndHandler&&) noexcept = default;
    EndHandler& operator=(EndHandler&&) = delete;
    ~EndHandler() {
        if (!report_) return;
        Report& report = *report_;
        auto call = [own = std::move(report_)] { own->on_end(std::make_exception_ptr(std::bad_alloc())); };
        boost::asio::post(report.executor, with_memory(report.memory, std::move(call)));
    }
    void operator()(const std::exception_ptr& problem) {
        const auto own = std::move(report_);
        own->on_end(problem);
    }

  private:
    struct Report {
        Report(boost::asio::io_context::executor_type e, OnEnd f)
            : executor(std::move(e)), on_end(std::move(f)) {}
        boost::asio::io_context::executor_type executor;
        OnEnd on_end;
        OperationMemory<192> memory;
    };
    std::unique_ptr<Report> report_;
};

// Starts `work` on `executor`, which must be the executor of an io_context with one thread. Calls
// on_end(std::exception_ptr) exactly once, when `work` has ended. The argument is the exception that `work`
// has thrown, or null. It is std::bad_alloc if `work` cannot start or continue because memory is missing. If
// the io_context is destroyed before `work` ends, `on_end` is not called. `slot` cancels the work. The caller
// keeps nothing that `on_end` owns, because it is passed by value.
template <class OnEnd>
void spawn(const boost::asio::any_io_executor& executor, boost::asio::awaitable<void> work,
           OnEnd on_end,  // NOLINT(performance-unnecessary-value-param)
           boost::asio::cancellation_slot slot = {}) {
    using Handler = EndHandler<OnEnd>;
    const auto* io = executor.target<boost::asio::io_context::executor_type>();
    std::optional<Handler> handler;
    try {
        handler.emplace(*io, on_end);
    } catch (const std::bad_alloc&) {
        return on_end(std::current_exception());
    }
    try {
        boost::asio::co_spawn(executor, std::move(work),
                              boost::asio::bind_cancellation_slot(slot, *std::move(handler)));
    } catch (const std::bad_alloc&) {
        // The destructor of EndHandler reports this failure to `on_end`.
    }
}

}  // namespace solard::server
