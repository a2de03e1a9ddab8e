#include "server/service.hpp"

#include <algorithm>
#include <csignal>
#include <thread>
#include <utility>

#include "server/observe/log.hpp"
#include "server/observe/repeated_trouble.hpp"

namespace solard::server {
namespace {

// The time for which connections stay open after the drain limit. It is long enough to write one error object
// to every client that still reads.
constexpr std::chrono::seconds error_delivery_time{2};

// The time for which connections stay open after the second signal. It is long enough only for clients whose
// sockets accept the last event of the answer without a wait.
constexpr std::chrono::milliseconds last_event_time{250};

// If at least this many sequences run, speculation guesses no tokens ahead (drafts). The value was measured
// on the CPU backend (tests/bench/bench_speculation). With this value, repetitive answers have most of the
// possible gain from drafts, and other answers are hardly slower.
constexpr std::int32_t max_speculative_step_rows = 8;

}  // namespace

Service::Service(App& app, Listener listener, OnReady on_ready)
    : app_(app),
      listener_(std::move(listener)),
      on_ready_(std::move(on_ready)),
      signals_(app.io, SIGTERM, SIGINT),
      drain_timer_(app.io),
      watchdog_(app.io) {}

int Service::run(BackendFactory make_backend) {
    EngineOptions options;
    options.max_num_seqs = static_cast<std::int32_t>(app_.config.max_num_seqs);
    options.max_num_batched_tokens = static_cast<std::int32_t>(app_.config.max_num_batched_tokens);
    options.eos_token_ids = app_.generation.model.config.eos_token_ids;
    options.prefix_cache = !app_.config.no_prefix_cache;
    options.hash_key = app_.generation.hash_key;
    options.max_speculative_step_rows = app_.config.speculation == "on" ? max_speculative_step_rows : 0;
    const QueueLimits limits{.max_queued_requests = app_.config.max_queued_requests,
                             .max_queued_tokens = app_.config.max_queued_tokens};
    listener_.start(app_);
    await_signal();
    app_.generation.engine.start(
        std::move(make_backend), app_.generation.tokenizer, std::move(options), limits,
        [this, url = listener_.url()](const EngineInfo& info) {
            if (stopping_) return;
            on_ready_(info, url);
            systemd_.notify("READY=1");
            report_status();
        },
        [this](const Error& error) {
            if (error.code == errc::server_draining) return;  // a signal cancelled the load
            log(LogLevel::error, error.message);
            exit_code_ = exit_code(error.code);
            begin_drain(error_delivery_time);
        });
    report_status();
    engine_seen_at_ = std::chrono::steady_clock::now();
    watch_engine();
    // The engine's callbacks use this object and the objects which `make_backend` captured. So the engine is
    // stopped before this function returns or throws, unless the engine hangs.
    struct StopEngine {
        Service& service;
        ~StopEngine() {
            if (!service.engine_hangs_) service.app_.generation.engine.stop();
        }
    } stop_engine{*this};
    run_event_loop();
    if (!engine_hangs_) engine_hangs_ = !wait_for_engine();
    return engine_hangs_ ? exit_code(errc::runtime_failure) : exit_code_;
}

// Runs until the event loop is stopped. If a handler throws an exception, the operation that it served has
// ended, and all other operations continue.
void Service::run_event_loop() {
    RepeatedTrouble trouble;
    for (;;) {
        try {
            app_.io.run();
            return;
        } catch (const std::exception& e) {
            trouble.log(LogLevel::error, "a handler of the event loop failed: ", e.what());
        }
    }
}

void Service::await_signal() {
    signals_.async_wait([this](boost::system::error_code ec, int) {
        if (ec) return;
        if (stopping_) {
            log(LogLevel::warning, "a second signal came: all answers end now");
            if (exit_code_ == 0) exit_code_ = exit_code_of_second_signal;
            return end_answers(last_event_time);
        }
        log(LogLevel::info,
            "draining: " + std::to_string(app_.generation.engine.num_in_flight()) + " answers in flight");
        await_signal();  // first, because begin_drain() cancels this wait for a signal if no session is open
        begin_drain(app_.config.drain_timeout);
    });
}

// Watches the engine and not the event loop. A step that takes long still raises `progress`, once per layer;
// a step that hangs does not.
void Service::watch_engine() {
    const auto limit = app_.config.engine_timeout;
    std::chrono::microseconds pause = std::clamp<std::chrono::milliseconds>(
        limit / 4, std::chrono::milliseconds(1), std::chrono::seconds(1));
    if (const auto due = systemd_.watchdog_interval(); due.count() > 0) pause = std::min(pause, due);
    watchdog_.expires_after(pause);
    auto on_time = [this, limit](boost::system::error_code ec) {
        if (ec) return;
        watch_engine();  // first, so that the watch continues even if the code below throws bad_alloc
        const EngineActivity now = app_.generation.engine.activity();
        const auto time = std::chrono::steady_clock::now();
        if (!now.busy || now.progress != engine_seen_.progress) {
            engine_seen_ = now;
            engine_seen_at_ = time;
            report_status();
            if (systemd_.watchdog_interval().count() > 0) systemd_.notify("WATCHDOG=1");
            return;
        }
        if (time - engine_seen_at_ < limit) return;
        watchdog_.cancel();
        engine_hangs_ = true;
        exit_code_ = exit_code(errc::runtime_failure);
        log(LogLevel::error, "the engine has made no progress for " + std::to_string(limit.count()) +
                                 " ms (--engine-timeout); the server ends with an error");
        app_.generation.engine.fail({errc::engine_unavailable,
                                     "The engine does not respond; the server is restarting. Retry later."});
        begin_drain(error_delivery_time);
    };
    watchdog_.async_wait(with_memory(watchdog_memory_, std::move(on_time)));
}

// Updates the line that `systemctl status` shows. While the model loads and makes progress, also asks systemd
// for more time.
void Service::report_status() {
    const ServerPhase phase = app_.state.phase;
    if (phase == ServerPhase::starting) {
        const int percent = app_.state.load_percent;
        if (std::exchange(notified_percent_, percent) != percent)
            systemd_.notify("EXTEND_TIMEOUT_USEC=60000000");
        systemd_.status("loading: " + std::to_string(percent) + " %");
    } else if (phase == ServerPhase::draining) {
        systemd_.status("draining: " + std::to_string(app_.generation.engine.num_in_flight()) +
                        " answers in flight");
    } else if (phase == ServerPhase::ready) {
        const auto& now = app_.generation.engine.snapshot();
        systemd_.status("ready: " + std::to_string(now.num_running) + " running, " +
                        std::to_string(now.num_waiting) + " waiting");
    }
}

// Waits for the engine after the last session has ended. Returns false if the engine has made no progress for
// --engine-timeout.
bool Service::wait_for_engine() {
    app_.generation.engine.ask_to_stop();
    EngineActivity last;
    auto since = std::chrono::steady_clock::now();
    while (!app_.generation.engine.has_ended()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        const EngineActivity now = app_.generation.engine.activity();
        const auto time = std::chrono::steady_clock::now();
        if (now.progress != last.progress) {
            last = now;
            since = time;
        }
        if (time - since < app_.config.engine_timeout) continue;
        log(LogLevel::error,
            "the engine has made no progress for --engine-timeout; the process ends without waiting for the "
            "engine");
        return false;
    }
    return true;
}

void Service::begin_drain(std::chrono::milliseconds limit) {
    const bool draining_already = stopping_.exchange(true);
    app_.generation.engine.drain();
    for (Wakeup* socket : app_.state.sockets)
        socket->notify();  // each socket closes itself after its current answers
    if (!draining_already) systemd_.notify("STOPPING=1");
    report_status();
    drain_timer_.expires_after(limit);
    drain_timer_.async_wait([this](boost::system::error_code ec) {
        if (!ec) end_answers(error_delivery_time);
    });
    if (!draining_already) listener_.drain([this] { finish(); });
}

// Ends each answer with an error. Connections that are still open after `delivery_time` are closed.
void Service::end_answers(std::chrono::milliseconds delivery_time) {
    // The timer comes first, because it must run even if memory is missing for the errors.
    drain_timer_.expires_after(delivery_time);
    drain_timer_.async_wait([this](boost::system::error_code ec) {
        if (!ec) listener_.close_sessions();
    });
    app_.generation.engine.fail_all(
        {errc::server_draining,
         "The server shut down before the answer was complete; send the request again."});
}

// Ends the event loop after the last session has ended. Responses that continue without a reader end too.
void Service::finish() {
    drain_timer_.cancel();
    watchdog_.cancel();
    signals_.cancel();
    app_.io.stop();
}

}  // namespace solard::server
