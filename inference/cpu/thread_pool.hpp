// Fork-join parallelism for loops that take microseconds. It has no queue and allocates nothing.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace solard {

// Only one thread at a time may call parallel_for(). The calling thread also executes items. Workers spin for
// some tens of microseconds after a loop, and then block so that they use no more CPU time.
class ThreadPool {
  public:
    // `num_threads` >= 1 counts the calling thread.
    explicit ThreadPool(int num_threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

    // Calls body(item, worker) once for each item in [0, count), with worker in [0, num_threads). The calls
    // are made in any order, and different workers make calls at the same time. parallel_for() returns when
    // all calls of `body` have returned. `body` must not throw.
    template <class Body>
    void parallel_for(std::size_t count, const Body& body) {
        if (count <= 1 || workers_.empty()) {
            for (std::size_t item = 0; item < count; ++item) body(item, 0);
            return;
        }
        job_ = {[](const void* context, std::size_t item, int worker) {
                    (*static_cast<const Body*>(context))(item, worker);
                },
                &body, count};
        run();
    }

  private:
    struct Job {
        void (*call)(const void* context, std::size_t item, int worker) = nullptr;
        const void* context = nullptr;
        std::size_t count = 0;
    };

    void run();
    void work_off_items(int worker);
    void worker_loop(int worker);

    Job job_;  // written only while the gate is closed and no worker works on a job
    std::atomic<std::size_t> next_item_{0};
    // Bit 0: the gate is open; bits 1 to 10: the number of workers that work on the job; higher bits: the
    // number of the job. A worker can start on the job only while the gate is open. The caller closes the
    // gate when no items are left, and then waits only for the workers that have started. So the caller does
    // not wait for a worker that was too late, for example because its core was busy.
    std::atomic<std::uint32_t> gate_{0};
    std::atomic<bool> stopping_{false};
    std::vector<std::thread> workers_;
};

}  // namespace solard
