#include "server/request_builder.hpp"

#include <algorithm>

#include "server/app.hpp"

namespace solard {

std::int32_t max_choices_together(const App& app) {
    const auto most = static_cast<std::int32_t>(max_choices);
    const auto& info = app.engine.info();  // absent while starting
    return info ? std::min(most, info->max_running) : most;
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
