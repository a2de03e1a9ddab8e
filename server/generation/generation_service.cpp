#include "server/generation/generation_service.hpp"

#include <utility>

#include "server/config/random_bits.hpp"

namespace solard::server {

GenerationService::GenerationService(boost::asio::io_context& io, const AppConfig& app_config, Gate& app_gate,
                                     ServerState& state, ServedModel served, Tokenizer model_tokenizer)
    : config(app_config),
      gate(app_gate),
      waiting_memory(state.waiting_memory),
      model(std::move(served)),
      tokenizer(std::move(model_tokenizer)),
      hash_key{random_bits(), random_bits()},
      grammars(app_config, tokenizer, model.config.vocab_size, model.config.eos_token_ids),
      engine(io, state) {}

void GenerationService::stop() {
    engine.stop();
    worker.join();
    grammars.stop();
}

RefusalPacer::Clock::duration GenerationService::refusal_delay(const Caller& caller, errc code) {
    if (code != errc::server_overloaded && code != errc::rate_limit_exceeded) return {};
    return refusals.next_delay(caller.owner, RefusalPacer::Clock::now());
}

}  // namespace solard::server
