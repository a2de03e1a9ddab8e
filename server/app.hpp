// Everything a handler may use: configuration, the served model, the engine's client. One per process.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <unordered_set>
#include <utility>
#include <vector>

#include "inference/model/tokenizer.hpp"
#include "inference/scheduling/block_hash.hpp"
#include "server/api/generation_fields.hpp"
#include "server/auth/api_keys.hpp"
#include "server/auth/quota.hpp"
#include "server/auth/ws_tickets.hpp"
#include "server/config/app_config.hpp"
#include "server/config/random_bits.hpp"
#include "server/generation/engine_client.hpp"
#include "server/generation/served_model.hpp"
#include "server/observe/metrics.hpp"
#include "server/observe/wakeup.hpp"
#include "server/responses/response_store.hpp"

namespace solard::server {

// I/O thread only. Session coroutines live in `io` and use everything above it, hence the order of members.
class App {
  public:
    App(AppConfig app_config, ServedModel served, Tokenizer model_tokenizer, ApiKeys api_keys = {})
        : config(std::move(app_config)),
          model(std::move(served)),
          tokenizer(std::move(model_tokenizer)),
          keys(std::move(api_keys)),
          engine(io, metrics) {
        for (const ApiKey& key : keys.all())
            key_states.push_back({Quota(key.concurrency, key.tokens_per_minute), random_bits()});
    }
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
    const ApiKeys keys;  // empty: everybody may ask

    struct KeyState {
        Quota quota;
        std::uint64_t cache_salt;  // keys share no prefix of a prompt
        std::int64_t num_sockets = 0;
    };
    std::vector<KeyState> key_states;  // of `keys`, in their order
    // Without API keys everybody is one principal to the prefix cache.
    const std::uint64_t anonymous_cache_salt = random_bits();
    const HashKey hash_key{random_bits(), random_bits()};  // of the prefix cache

    UnknownFields unknown_fields() const {
        return config.strict_params ? UnknownFields::refused : UnknownFields::ignored;
    }

    const std::chrono::system_clock::time_point started = std::chrono::system_clock::now();
    Metrics metrics;
    std::atomic<int> load_percent{0};  // written by the engine thread while it loads
    // For work that would hold the loop up; takes values and returns values.
    boost::asio::thread_pool helpers{1};
    std::size_t num_helper_jobs = 0;
    EngineClient engine;
    ResponseStore responses{256 << 20, std::chrono::minutes(30)};
    WsTickets ws_tickets;
    std::size_t num_connections = 0;      // open now, WebSockets included
    std::unordered_set<Wakeup*> sockets;  // of each WebSocket, to be notified when the server drains
    boost::asio::io_context io{1};
};

}  // namespace solard::server
