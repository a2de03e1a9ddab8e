#include "server/service.hpp"

#include <csignal>

#include "server/log.hpp"

namespace solard {
namespace {

// After the drain limit: long enough to write one error object to everyone who still reads.
constexpr std::chrono::seconds farewell{2};

}  // namespace

int exit_code(errc code) {
    switch (code) {
        case errc::bad_command_line:
            return 2;
        case errc::bad_model:
            return 66;
        case errc::device_unavailable:
            return 69;
        case errc::bad_configuration:
            return 78;
        default:
            return 1;
    }
}

Service::Service(App& app, Listener listener, OnReady on_ready)
    : app_(app),
      listener_(std::move(listener)),
      on_ready_(std::move(on_ready)),
      signals_(app.io, SIGTERM, SIGINT),
      drain_timer_(app.io) {}

int Service::run(BackendFactory make_backend) {
    EngineOptions options;
    options.max_num_seqs = static_cast<std::int32_t>(app_.config.max_num_seqs);
    options.max_num_batched_tokens = static_cast<std::int32_t>(app_.config.max_num_batched_tokens);
    options.eos_token_ids = app_.model.config.eos_token_ids;
    const AdmissionLimits limits{.max_num_seqs = app_.config.max_num_seqs,
                                 .max_queued_requests = app_.config.max_queued_requests,
                                 .max_queued_tokens = app_.config.max_queued_tokens};
    listener_.start(app_);
    await_signal();
    app_.engine.start(
        std::move(make_backend), app_.tokenizer, std::move(options), limits,
        [this, url = listener_.url()](const EngineInfo& info) {
            if (!stopping_) on_ready_(info, url);
        },
        [this](const Error& error) {
            if (error.code == errc::server_draining) return;  // the load that stopping() gave up
            log(LogLevel::error, error.message);
            exit_code_ = exit_code(error.code);
            begin_drain(farewell);
        });
    // The engine's callbacks name this object and `make_backend`'s captures: it ends here, also on an
    // exception.
    struct StopEngine {
        EngineClient& engine;
        ~StopEngine() { engine.stop(); }
    } stop_engine{app_.engine};
    app_.io.run();
    return exit_code_;
}

void Service::await_signal() {
    signals_.async_wait([this](boost::system::error_code ec, int) {
        if (ec) return;
        if (stopping_) {
            log(LogLevel::warning, "second signal: ending at once");
            drain_timer_.cancel();
            listener_.close_sessions();
            return;
        }
        log(LogLevel::info,
            "draining: " + std::to_string(app_.engine.num_in_flight()) + " answers in flight");
        await_signal();  // first: a drain of nothing ends at once, and cancels it
        begin_drain(app_.config.drain_timeout);
    });
}

void Service::begin_drain(std::chrono::milliseconds limit) {
    const bool draining_already = stopping_.exchange(true);
    app_.engine.drain();
    drain_timer_.expires_after(limit);
    drain_timer_.async_wait([this](boost::system::error_code ec) {
        if (ec) return;
        app_.engine.fail_all({errc::server_draining, "The server shut down before the answer was complete."});
        drain_timer_.expires_after(farewell);
        drain_timer_.async_wait([this](boost::system::error_code late) {
            if (!late) listener_.close_sessions();
        });
    });
    if (!draining_already) listener_.drain([this] { finish(); });
}

// The last session is gone: with signals and timers cancelled, io_context::run() returns.
void Service::finish() {
    drain_timer_.cancel();
    signals_.cancel();
}

}  // namespace solard
