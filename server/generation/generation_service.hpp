// Everything which serves a generation: the engine, the model that it runs, and a thread for long work.
#pragma once

#include <boost/asio/io_context.hpp>

#include "inference/model/tokenizer.hpp"
#include "inference/scheduling/block_hash.hpp"
#include "server/api/generation_fields.hpp"
#include "server/auth/gate.hpp"
#include "server/config/app_config.hpp"
#include "server/generation/engine_client.hpp"
#include "server/generation/grammar_service.hpp"
#include "server/generation/refusal_pacer.hpp"
#include "server/generation/served_model.hpp"
#include "server/generation/worker_thread.hpp"
#include "server/observe/server_state.hpp"

namespace solard::server {

// I/O thread only. admission.hpp makes a generation from a request.
struct GenerationService {
    // All parameters which are references must outlive the service, except that `io` may be destroyed after
    // stop() was called.
    GenerationService(boost::asio::io_context& io, const AppConfig& app_config, Gate& app_gate,
                      ServerState& state, ServedModel served, Tokenizer model_tokenizer);
    GenerationService(const GenerationService&) = delete;
    GenerationService& operator=(const GenerationService&) = delete;

    // Ends the engine and the worker thread, which both post to `io`.
    void stop();

    UnknownFields unknown_fields() const {
        return config.strict_params ? UnknownFields::refused : UnknownFields::ignored;
    }

    // Returns how long the caller's next refusal should wait (RefusalPacer). Only refusals with
    // server_overloaded or rate_limit_exceeded wait.
    RefusalPacer::Clock::duration refusal_delay(const Caller& caller, errc code);

    const AppConfig& config;
    Gate& gate;
    WaitingMemory& waiting_memory;
    const ServedModel model;
    const Tokenizer tokenizer;
    const HashKey hash_key;  // of the prefix cache
    const ToolForm tool_form;
    const bool shows_tool_trigger;  // true: tool_form.trigger is a special token, which calls must show
    WorkerThread worker;
    GrammarService grammars;
    EngineClient engine;
    RefusalPacer refusals;
};

}  // namespace solard::server
