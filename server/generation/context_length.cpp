#include "server/generation/context_length.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <string_view>

namespace solard::server {
namespace {

// A context length, and the words that say where it comes from.
struct Limit {
    std::int64_t tokens;
    std::string_view source;
};

std::int64_t own_context(const ModelConfig& config) {
    const RopeScaling& scaling = config.rope_scaling;
    const bool is_dynamic = scaling.type == RopeScaling::Type::dynamic;
    if (!is_dynamic || scaling.original_max_position_embeddings == 0) return config.max_position_embeddings;
    return std::min(scaling.original_max_position_embeddings, config.max_position_embeddings);
}

// Linear scaling makes every position smaller by its factor. Whether max_position_embeddings is the length
// before or after scaling differs between models, so the longer one is allowed, but not the default.
Limit longest_context(const ModelConfig& config) {
    const std::int64_t own = own_context(config);
    if (config.rope_scaling.type == RopeScaling::Type::linear) {
        const double scaled = static_cast<double>(own) * config.rope_scaling.factor;
        constexpr double most = std::numeric_limits<std::int32_t>::max();
        return {static_cast<std::int64_t>(std::min(scaled, most)),
                "max_position_embeddings times the factor of the linear RoPE scaling"};
    }
    if (config.rope_scaling.type == RopeScaling::Type::dynamic)
        return {own, "longer ones need its dynamic RoPE scaling, which this server does not compute"};
    return {own, "max_position_embeddings in config.json"};
}

}  // namespace

result<std::int32_t> choose_context_length(std::int64_t max_model_len, const ModelConfig& config) {
    const std::int64_t wanted = max_model_len == 0 ? own_context(config) : max_model_len;
    const Limit limit = longest_context(config);
    const std::int64_t window = config.sliding_window.value_or(std::numeric_limits<std::int32_t>::max());
    const std::int64_t longest = std::min(limit.tokens, window);
    if (wanted <= longest) return static_cast<std::int32_t>(wanted);
    const std::string advice = "set --max-model-len to at most " + std::to_string(longest);
    if (wanted > limit.tokens)
        return Error{errc::bad_configuration, "--max-model-len is " + std::to_string(wanted) +
                                                  ", but the context of the model has at most " +
                                                  std::to_string(limit.tokens) + " tokens (" +
                                                  std::string(limit.source) + "); " + advice};
    return Error{
        errc::bad_configuration,
        "the context has " + std::to_string(wanted) + " tokens, but the model has a sliding window of " +
            std::to_string(window) +
            " tokens (sliding_window in config.json; a Mistral model without this key has 4096). This server "
            "computes full attention, which is the same only within the window; " +
            advice};
}

}  // namespace solard::server
