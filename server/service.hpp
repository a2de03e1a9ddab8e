// Runs one server from start to end: listener, engine, signals, drain.
#pragma once

#include <atomic>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>

#include "server/app.hpp"
#include "server/listener.hpp"
#include "server/observe/operation_memory.hpp"
#include "server/observe/systemd.hpp"

namespace solard::server {

// I/O thread only, except for stopping().
class Service {
  public:
    using OnReady = std::function<void(const EngineInfo& info, const std::string& url)>;

    // `on_ready` runs on the I/O thread when the engine is ready. `listener` must be bound already. `app`
    // must outlive the service.
    Service(App& app, Listener listener, OnReady on_ready);

    // Serves until SIGTERM or SIGINT, or until the engine fails. Returns the exit code of the process.
    // `make_backend` runs on the engine thread. During a long load, it may poll stopping() and throw
    // load_cancelled.
    int run(BackendFactory make_backend);
    const std::atomic<bool>& stopping() const { return stopping_; }
    // Must be called only after run(). Returns true if the engine was still inside a step that does not end.
    // The engine thread then cannot be joined.
    bool engine_hangs() const { return engine_hangs_; }

  private:
    void await_signal();
    void run_event_loop();
    void watch_engine();
    void report_status();
    bool wait_for_engine();
    void begin_drain(std::chrono::milliseconds limit);
    void end_answers(std::chrono::milliseconds delivery_time);
    void finish();

    App& app_;
    Listener listener_;
    OnReady on_ready_;
    SystemdNotifier systemd_;
    int notified_percent_ = -1;
    boost::asio::signal_set signals_;
    boost::asio::steady_timer drain_timer_;
    OperationMemory<256> watchdog_memory_;
    boost::asio::steady_timer watchdog_;
    EngineActivity engine_seen_;  // activity when the engine was last idle or made progress
    std::chrono::steady_clock::time_point engine_seen_at_;
    std::atomic<bool> stopping_{false};
    bool engine_hangs_ = false;
    int exit_code_ = 0;
};

}  // namespace solard::server
