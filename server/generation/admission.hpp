// From what a client asked to what the engine gets: prompts to tokens, limits, quota, admission.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/api/generation_fields.hpp"
#include "server/auth/access.hpp"
#include "server/auth/quota.hpp"
#include "server/config/error.hpp"
#include "server/generation/engine_client.hpp"

namespace solard::server {

class App;

// The name that a client asked for is served. Errors: model_not_found.
result<void> check_model(const App& app, const std::string& name);

// BOS and the pieces of each text; on the helper thread where they are long together. `field` is what an
// error names. Errors: server_overloaded, context_length_exceeded, also without tokenizing where a text is
// too long whatever its pieces are.
boost::asio::awaitable<result<std::vector<std::vector<TokenId>>>> encode_prompts(
    App& app, std::vector<std::string> texts, std::string_view field);
boost::asio::awaitable<result<std::vector<TokenId>>> encode_prompt(App& app, std::string text,
                                                                   std::string_view field);

// One accepted answer: whoever holds it keeps it running, and its end is charged to the key.
class Admitted {
  public:
    Admitted(Generation generation, Quota::Ticket ticket, std::size_t prompt_tokens, std::int32_t max_tokens,
             std::uint64_t seed)
        : generation_(std::move(generation)),
          ticket_(std::move(ticket)),
          prompt_tokens_(prompt_tokens),
          max_tokens_(max_tokens),
          seed_(seed) {}
    Admitted(Admitted&&) noexcept = default;
    Admitted& operator=(Admitted&&) = delete;
    ~Admitted();

    ResponseLog& log() const { return generation_.log(); }
    // For who reads on after the end; it does not keep the generation going.
    const std::shared_ptr<ResponseLog>& shared_log() const { return generation_.shared_log(); }
    std::size_t prompt_tokens() const { return prompt_tokens_; }
    std::int32_t max_tokens() const { return max_tokens_; }  // of each output, at most
    std::uint64_t seed() const { return seed_; }             // of the first prompt

  private:
    Generation generation_;
    Quota::Ticket ticket_;
    std::size_t prompt_tokens_;  // of all prompts
    std::int32_t max_tokens_;
    std::uint64_t seed_;
};

// The last step before a status line: everything that can refuse the prompts does it here. `field` is where
// they came from. Errors: as EngineClient::submit(), context_length_exceeded, invalid_value naming the field,
// rate_limit_exceeded.
result<Admitted> admit(App& app, const GenerationFields& fields, const Caller& caller,
                       std::vector<std::vector<TokenId>> prompts, std::string_view field);

// Choices of one request that the server can run together; `n` is at most that.
std::int32_t max_choices_together(const App& app);

}  // namespace solard::server
