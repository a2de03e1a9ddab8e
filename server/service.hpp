// One server from start to end: listener, engine, signals, drain.
#pragma once

#include <atomic>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>

#include "server/app.hpp"
#include "server/listener.hpp"
#include "server/observe/systemd.hpp"

namespace solard::server {

class Service {
  public:
    using OnReady = std::function<void(const EngineInfo& info, const std::string& url)>;

    // `on_ready` runs on the I/O thread once the model answers. The listener is already bound.
    Service(App& app, Listener listener, OnReady on_ready);

    // Serves until SIGTERM or SIGINT, or until the engine fails; gives the exit code. `make_backend` runs on
    // the engine thread; it may poll stopping() to give up a long load.
    int run(BackendFactory make_backend);
    const std::atomic<bool>& stopping() const { return stopping_; }
    // After run(): the engine was still inside a step that does not end. Its thread cannot be joined.
    bool engine_hangs() const { return engine_hangs_; }

  private:
    void await_signal();
    void watch_engine(EngineActivity last, std::chrono::steady_clock::time_point since);
    void notify_systemd();
    bool engine_ends();
    void begin_drain(std::chrono::milliseconds limit);
    void finish();

    App& app_;
    Listener listener_;
    OnReady on_ready_;
    SystemdNotifier systemd_;
    int notified_percent_ = -1;
    boost::asio::signal_set signals_;
    boost::asio::steady_timer drain_timer_;
    boost::asio::steady_timer watchdog_;
    std::atomic<bool> stopping_{false};
    bool engine_hangs_ = false;
    int exit_code_ = 0;
};

}  // namespace solard::server
