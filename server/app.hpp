// The owner of the server's parts: it creates the ServerState, the Gate, the GenerationService and the
// ResponseService, and passes to each of them the parts that it needs. Only files directly in server/ include
// this file, not files in its subfolders.
#pragma once

#include <boost/asio/io_context.hpp>
#include <utility>

#include "server/auth/gate.hpp"
#include "server/config/app_config.hpp"
#include "server/generation/generation_service.hpp"
#include "server/observe/server_state.hpp"
#include "server/responses/response_service.hpp"

namespace solard::server {

// One per process. I/O thread only.
class App {
  public:
    App(AppConfig app_config, ServedModel model, Tokenizer tokenizer, ApiKeys keys = {})
        : config(std::move(app_config)),
          state(static_cast<std::size_t>(config.max_waiting_memory)),
          gate(config, std::move(keys)),
          generation(io, config, gate, state, std::move(model), std::move(tokenizer)),
          responses(io, generation) {}
    ~App() { generation.stop(); }
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    const AppConfig config;
    ServerState state;
    Gate gate;
    GenerationService generation;
    ResponseService responses;
    // `io` must be the last member, so that it is destroyed first: its coroutines use all other members.
    boost::asio::io_context io{1};
};

}  // namespace solard::server
