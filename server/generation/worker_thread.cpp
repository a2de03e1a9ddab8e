#include "server/generation/worker_thread.hpp"

#include <algorithm>

namespace solard::server {

bool WorkerThread::has_capacity(std::uint64_t owner) const {
    if (jobs_.size() < max_jobs) return true;
    const std::size_t num_own = jobs_.count(owner);
    std::size_t num_owners = num_own == 0 ? 1 : 0;
    for (auto job = jobs_.begin(); job != jobs_.end(); job = jobs_.upper_bound(job->first)) ++num_owners;
    return num_own < std::max<std::size_t>(1, max_jobs / num_owners);
}

WorkerThread::Job::Job(WorkerThread& worker, const boost::asio::any_io_executor& executor, JobSource source)
    : worker_(worker),
      charge_(source.charge),
      wakeup_(executor),
      position_(worker.jobs_.emplace(source.owner, this)) {
    if (worker_.running_ == nullptr) worker_.running_ = this;
    if (charge_ != nullptr) charge_->set_waiting(&wakeup_);
}

WorkerThread::Job::~Job() {
    if (charge_ != nullptr) charge_->set_waiting(nullptr);
    auto& jobs = worker_.jobs_;
    const std::uint64_t owner = position_->first;
    jobs.erase(position_);
    if (!may_run()) return;
    auto next = jobs.upper_bound(owner);
    if (next == jobs.end()) next = jobs.begin();
    worker_.running_ = next == jobs.end() ? nullptr : next->second;
    if (worker_.running_ != nullptr) worker_.running_->wakeup_.notify();
}

}  // namespace solard::server
