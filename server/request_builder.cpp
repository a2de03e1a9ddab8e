#include "server/request_builder.hpp"

#include <algorithm>

#include "server/app.hpp"

namespace solard {

std::int32_t max_choices_together(const App& app) {
    std::int64_t most = std::min(app.config.max_num_seqs, std::int64_t{max_choices});
    // A step holds a token of each.
    if (const auto& info = app.engine.info()) {
        most = std::min({most, std::int64_t{info->capacity.max_seqs_per_step},
                         std::int64_t{info->max_num_batched_tokens}});
    }
    return static_cast<std::int32_t>(most);
}

result<Request> build_request(const App& app, const SamplingFields& sampling, std::uint64_t connection,
                              std::vector<TokenId> prompt, std::int32_t max_tokens) {
    const SamplingContext context{.vocab_size = app.model.config.vocab_size,
                                  .max_choices = max_choices_together(app),
                                  .temperature = app.model.config.default_temperature.value_or(1.0),
                                  .top_p = app.model.config.default_top_p.value_or(1.0),
                                  .seed = random_bits()};
    auto request = make_request(sampling, context, max_tokens);
    if (!request) return request;
    request->prompt = std::move(prompt);
    request->principal.id = connection;
    request->cache_salt = app.anonymous_cache_salt;
    const auto now = Clock::now();
    request->queue_deadline = now + app.config.queue_timeout;
    request->request_deadline = now + app.config.request_timeout;
    return request;
}

}  // namespace solard
