// Fork-join over items, for loops of microseconds: no allocation, no queue.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace solard {

// One caller at a time; the caller works too. Workers spin for some tens of microseconds after a loop, then
// block, so that an idle or contended machine is left alone.
class ThreadPool {
  public:
    // `num_threads` >= 1 counts the calling thread.
    explicit ThreadPool(int num_threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

    // Calls body(item, worker) once for each item in [0, count), worker in [0, num_threads), in any order and
    // at the same time on different workers; returns when all are done. `body` must not throw.
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

    Job job_;  // written only while the gate is shut and nobody is inside
    std::atomic<std::size_t> next_item_{0};
    // Bit 0: open; bits 1..10: workers inside; above: number of the job. A worker that comes late finds the
    // gate shut and is not waited for, which is what keeps a stolen core from stalling every loop.
    std::atomic<std::uint32_t> gate_{0};
    std::atomic<bool> stopping_{false};
    std::vector<std::thread> workers_;
};

}  // namespace solard
