#include "server/generation/worker_thread.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/test/unit_test.hpp>
#include <functional>
#include <future>
#include <string>

namespace solard::server {
namespace {

namespace asio = boost::asio;

// A worker thread whose first job runs until release() is called.
struct BlockedWorker {
    BlockedWorker() {
        add({.owner = 0}, [this] { unblock.get_future().wait(); });
        io.poll();
    }
    ~BlockedWorker() { worker.join(); }
    BlockedWorker(const BlockedWorker&) = delete;
    BlockedWorker& operator=(const BlockedWorker&) = delete;

    // Adds a job. Returns when the job waits or runs.
    void add(JobSource source, std::function<void()> work) {
        asio::co_spawn(io, run(this, source, std::move(work)), [](const std::exception_ptr& problem) {
            if (problem) std::rethrow_exception(problem);
        });
        io.poll();
    }
    void release() { unblock.set_value(); }

    WorkerThread worker;
    std::size_t num_refused = 0;
    std::promise<void> unblock;
    asio::io_context io;

  private:
    static asio::awaitable<void> run(BlockedWorker* self, JobSource source, std::function<void()> work) {
        auto value_of_work = [work = std::move(work)] {
            work();
            return true;
        };
        auto running = self->worker.offload(source, false, std::move(value_of_work));
        const auto done = co_await std::move(running);
        if (done) co_return;
        BOOST_TEST((done.error().code == errc::server_overloaded));
        ++self->num_refused;
    }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(worker_thread)

BOOST_AUTO_TEST_CASE(owners_take_turns_and_each_has_its_jobs_in_their_order) {
    BlockedWorker blocked;
    std::string order;
    for (const std::string name : {"a1", "a2", "a3", "b1", "b2", "c1"}) {
        const auto owner = static_cast<std::uint64_t>(name.front());
        blocked.add({.owner = owner}, [&order, name] { order += name + " "; });
    }
    blocked.release();
    blocked.io.run();
    BOOST_TEST(order == "a1 b1 c1 a2 b2 a3 ");
}

BOOST_AUTO_TEST_CASE(owner_with_its_share_of_a_full_queue_has_no_capacity_and_a_newcomer_has) {
    constexpr std::size_t max_jobs = WorkerThread::max_jobs;
    BlockedWorker blocked;
    for (std::size_t i = 1; i < max_jobs; ++i) {
        BOOST_TEST(blocked.worker.has_capacity(0));
        blocked.add({.owner = 0}, [] {});
    }
    BOOST_TEST(!blocked.worker.has_capacity(0));
    for (std::size_t i = 0; i < max_jobs / 2; ++i) {
        BOOST_TEST(blocked.worker.has_capacity(1));
        blocked.add({.owner = 1}, [] {});
    }
    BOOST_TEST(!blocked.worker.has_capacity(1));
    BOOST_TEST(blocked.worker.has_capacity(2));
    blocked.release();
    blocked.io.run();
    BOOST_TEST(blocked.worker.has_capacity(0));
}

BOOST_AUTO_TEST_CASE(every_owner_may_have_one_job_however_many_owners_there_are) {
    BlockedWorker blocked;
    for (std::uint64_t owner = 0; owner < WorkerThread::max_jobs + 9; ++owner) {
        BOOST_TEST((owner == 0 || blocked.worker.has_capacity(owner)), owner);
        blocked.add({.owner = owner}, [] {});
    }
    BOOST_TEST(!blocked.worker.has_capacity(WorkerThread::max_jobs));
    blocked.release();
    blocked.io.run();
}

BOOST_AUTO_TEST_CASE(waiting_job_ends_as_soon_as_its_charge_is_refused) {
    BlockedWorker blocked;
    WaitingMemory memory(100);
    InputCharge large(memory, 1, {});
    InputCharge small(memory, 1, {});
    BOOST_TEST(large.resize(60));
    BOOST_TEST(small.resize(30));
    bool large_has_run = false;
    bool small_has_run = false;
    blocked.add({.owner = 1, .charge = &large}, [&] { large_has_run = true; });
    blocked.add({.owner = 1, .charge = &small}, [&] { small_has_run = true; });
    InputCharge other(memory, 2, {});
    BOOST_TEST(other.resize(40));
    blocked.io.poll();
    BOOST_TEST(blocked.num_refused == 1U);
    blocked.release();
    blocked.io.run();
    BOOST_TEST(!large_has_run);
    BOOST_TEST(small_has_run);
    BOOST_TEST(blocked.num_refused == 1U);
}

BOOST_AUTO_TEST_CASE(result_of_a_job_whose_charge_is_refused_while_it_runs_is_dropped) {
    BlockedWorker blocked;
    WaitingMemory memory(100);
    InputCharge charge(memory, 1, {});
    BOOST_TEST(charge.resize(60));
    std::promise<void> begun;
    std::promise<void> refused;
    blocked.add({.owner = 1, .charge = &charge}, [&] {
        begun.set_value();
        refused.get_future().wait();
    });
    blocked.release();
    auto has_begun = begun.get_future();
    while (has_begun.wait_for(std::chrono::seconds(0)) != std::future_status::ready) blocked.io.poll();
    BOOST_TEST(!charge.resize(101));
    refused.set_value();
    blocked.io.run();
    BOOST_TEST(blocked.num_refused == 1U);
}

BOOST_AUTO_TEST_CASE(job_which_waits_when_the_event_loop_ends_never_runs) {
    bool has_run = false;
    {
        BlockedWorker blocked;
        blocked.add({.owner = 1}, [&] { has_run = true; });
        blocked.release();
    }
    BOOST_TEST(!has_run);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
