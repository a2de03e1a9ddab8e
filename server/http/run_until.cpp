#include "server/http/run_until.hpp"

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "server/observe/spawn.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

// The state of two coroutines that run at the same time, `work` and `stop`. Their completion handlers own
// this state. The state owns the coroutine that waits for both. So the destruction of the io_context destroys
// all three coroutines.
class Race {
  public:
    // `first_problem` is a variable of the waiting coroutine.
    explicit Race(std::exception_ptr* first_problem) : first_problem_(first_problem) {}

    asio::cancellation_signal cancel_work;
    asio::cancellation_signal cancel_stop;

    bool none_has_ended() const { return num_running_ == 2; }
    // Must be called when one of the two coroutines has ended. `other` is the signal that cancels the other
    // coroutine.
    void end(asio::cancellation_signal& other, const std::exception_ptr& problem) {
        const bool is_first = none_has_ended();
        --num_running_;
        if (is_first) {
            *first_problem_ = problem;
            return other.emit(asio::cancellation_type::terminal);
        }
        if (!waiting_) return;
        auto resume = *std::move(waiting_);
        waiting_.reset();
        std::move(resume)();
    }
    // Returns an operation which completes when both coroutines have ended. Only the call of this function
    // can fail, not the operation.
    static asio::awaitable<void> both_ended(std::shared_ptr<Race> race) {
        return asio::async_initiate<const asio::use_awaitable_t<>, void()>(
            [race = std::move(race)](Resume resume) mutable {
                const auto own = std::move(race);
                if (own->num_running_ == 0) return std::move(resume)();
                own->waiting_.emplace(std::move(resume));
            },
            asio::use_awaitable);
    }

  private:
    using Resume = asio::async_result<asio::use_awaitable_t<>, void()>::handler_type;
    std::exception_ptr* first_problem_;
    int num_running_ = 2;
    std::optional<Resume> waiting_;
};

}  // namespace

asio::awaitable<void> run_until(asio::awaitable<void> work, asio::awaitable<void> stop) {
    const auto executor = co_await asio::this_coro::executor;
    std::exception_ptr first_problem;
    auto race = std::make_shared<Race>(&first_problem);
    auto both_ended = Race::both_ended(race);
    spawn(
        executor, std::move(stop),
        [race](const std::exception_ptr& problem) { race->end(race->cancel_work, problem); },
        race->cancel_stop.slot());
    auto on_end = [race](const std::exception_ptr& problem) { race->end(race->cancel_stop, problem); };
    if (race->none_has_ended()) {
        spawn(executor, std::move(work), std::move(on_end), race->cancel_work.slot());
    } else {
        on_end(nullptr);
    }
    race.reset();
    co_await std::move(both_ended);
    if (first_problem) std::rethrow_exception(first_problem);
}

}  // namespace solard::server
