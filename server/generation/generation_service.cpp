#include "server/generation/generation_service.hpp"

#include <utility>

#include "server/config/random_bits.hpp"

namespace solard::server {
namespace {

bool is_special_token(const Tokenizer& tokenizer, std::string_view text) {
    for (TokenId token = 0; token < tokenizer.vocab_size(); ++token)
        if (tokenizer.bytes_of(token, false) == text && tokenizer.bytes_of(token, true).empty()) return true;
    return false;
}

}  // namespace

GenerationService::GenerationService(boost::asio::io_context& io, const AppConfig& app_config, Gate& app_gate,
                                     ServerState& state, ServedModel served, Tokenizer model_tokenizer)
    : config(app_config),
      gate(app_gate),
      waiting_memory(state.waiting_memory),
      model(std::move(served)),
      tokenizer(std::move(model_tokenizer)),
      hash_key{random_bits(), random_bits()},
      tool_form(model.chat_template.tool_form()),
      shows_tool_trigger(is_special_token(tokenizer, tool_form.trigger)),
      grammars(app_config, tokenizer, model.config.vocab_size, model.config.eos_token_ids, tool_form.trigger),
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
