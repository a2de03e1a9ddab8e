// Everything a handler may use: configuration, the served model, the engine's client. One per process.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <utility>

#include "inference/tokenizer.hpp"
#include "server/app_config.hpp"
#include "server/engine_client.hpp"
#include "server/random_bits.hpp"
#include "server/served_model.hpp"

namespace solard {

// I/O thread only. Session coroutines live in `io` and use everything above it, hence the order of members.
class App {
  public:
    App(AppConfig app_config, ServedModel served, Tokenizer model_tokenizer)
        : config(std::move(app_config)),
          model(std::move(served)),
          tokenizer(std::move(model_tokenizer)),
          engine(io) {}
    // Engine and helpers end first: both post to `io`.
    ~App() {
        engine.stop();
        helpers.join();
    }
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    const AppConfig config;
    const ServedModel model;
    const Tokenizer tokenizer;
    // Without API keys everybody is one principal to the prefix cache.
    const std::uint64_t anonymous_cache_salt = random_bits();
    std::atomic<int> load_percent{0};  // written by the engine thread while it loads
    // For work that would hold the loop up; takes values and returns values.
    boost::asio::thread_pool helpers{1};
    EngineClient engine;
    boost::asio::io_context io{1};
};

}  // namespace solard
