// Everything a handler may use: configuration, the served model, the engine's client. One per process.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "inference/tokenizer.hpp"
#include "server/app_config.hpp"
#include "server/engine_client.hpp"
#include "server/served_model.hpp"

namespace solard {

// I/O thread only. Members are destroyed in reverse: the engine first, then the helpers, then the tokenizer.
class App {
  public:
    App(boost::asio::io_context& io, AppConfig app_config, ServedModel served, Tokenizer model_tokenizer)
        : config(std::move(app_config)),
          model(std::move(served)),
          tokenizer(std::move(model_tokenizer)),
          engine(io) {}

    // Prompt ids of `text`; a long text is encoded on the helper thread, so that the loop stays free.
    boost::asio::awaitable<std::vector<TokenId>> encode(std::string text);

    const AppConfig config;
    const ServedModel model;
    const Tokenizer tokenizer;
    std::atomic<int> load_percent{0};  // written by the engine thread while it loads

  private:
    boost::asio::thread_pool helpers_{1};

  public:
    EngineClient engine;
};

}  // namespace solard
