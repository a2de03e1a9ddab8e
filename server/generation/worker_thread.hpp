// Work that would hold the event loop up runs on the helper thread.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "server/app.hpp"

namespace solard::server {

// Larger bodies are parsed on the helper: about a millisecond of the loop.
inline constexpr std::size_t parse_inline_bytes = 64 << 10;

// Counts while it exists.
class HelperJob {
  public:
    explicit HelperJob(std::size_t& count) : count_(count) { ++count_; }
    HelperJob(const HelperJob&) = delete;
    HelperJob& operator=(const HelperJob&) = delete;
    ~HelperJob() { --count_; }

  private:
    std::size_t& count_;
};

// `work` takes values and returns a value; a `small` one is done here and now.
template <class Function>
boost::asio::awaitable<std::invoke_result_t<Function>> run_on_helper(App& app, bool small, Function work) {
    if (small) co_return work();
    const HelperJob job(app.num_helper_jobs);
    auto task = [](Function function) -> boost::asio::awaitable<std::invoke_result_t<Function>> {
        co_return function();
    }(std::move(work));
    co_return co_await boost::asio::co_spawn(app.helpers, std::move(task), boost::asio::use_awaitable);
}

}  // namespace solard::server
