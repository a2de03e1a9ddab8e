#include "server/http/run_until.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <exception>
#include <utility>

namespace solard::server {
namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;

// Stores an exception of `work` in `*problem`, a variable of the awaiting caller. If the exception left this
// coroutine, `||` would wait for its other operand.
asio::awaitable<void> catch_all(asio::awaitable<void> work, std::exception_ptr* problem) {
    try {
        co_await std::move(work);
    } catch (...) {
        *problem = std::current_exception();
    }
}

}  // namespace

asio::awaitable<void> run_until(asio::awaitable<void> work, asio::awaitable<void> stop) {
    std::exception_ptr problem;
    auto done = catch_all(std::move(work), &problem);
    const auto first = co_await (std::move(done) || std::move(stop));
    const bool work_was_first = first.index() == 0;
    if (work_was_first && problem) std::rethrow_exception(problem);
}

}  // namespace solard::server
