// The fields of a request that say how its answer is generated, the same in every API that has them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inference/request.hpp"
#include "server/api/fields.hpp"
#include "server/config/error.hpp"

namespace solard::server {

// What a field may hold; /v1/metadata tells it to the page.
struct NumberRange {
    std::string_view name;
    double min;
    double max;
    FieldReader::Bound lower = FieldReader::Bound::closed;
};
inline constexpr NumberRange temperature_range{"temperature", 0, 2};
inline constexpr NumberRange top_p_range{"top_p", 0, 1, FieldReader::Bound::open};
inline constexpr NumberRange min_p_range{"min_p", 0, 1};
inline constexpr NumberRange repetition_penalty_range{"repetition_penalty", 0, 2, FieldReader::Bound::open};
inline constexpr NumberRange frequency_penalty_range{"frequency_penalty", -2, 2};
inline constexpr NumberRange presence_penalty_range{"presence_penalty", -2, 2};
inline constexpr std::array sampling_ranges{
    temperature_range,       top_p_range,           min_p_range, repetition_penalty_range,
    frequency_penalty_range, presence_penalty_range};
inline constexpr std::size_t max_stop_token_ids = 64;
inline constexpr double max_logit_bias = 100;  // and the least is its negative

// Defaults ask for nothing.
struct SamplingFields {
    std::optional<double> temperature;  // absent: the model's own default, as for top_p
    std::optional<double> top_p;
    double min_p = 0;
    std::int32_t top_k = 0;  // 0 = all
    double repetition_penalty = 1;
    double frequency_penalty = 0;
    double presence_penalty = 0;
    std::optional<std::uint64_t> seed;
    std::vector<std::string> stop;
    std::vector<TokenId> stop_token_ids;
    std::int32_t min_tokens = 0;
    bool ignore_eos = false;
    std::vector<LogitBias> logit_bias;
    std::uint32_t num_choices = 1;
    std::int32_t num_logprobs = -1;  // alternatives of each token; -1: no logprobs at all
    std::int32_t priority = 0;       // lower first, among the principal's own
};

// Reads all of them but the logprobs, which every API asks for in its own way. A problem is left in
// `fields`.
SamplingFields parse_sampling_fields(FieldReader& fields);
// SamplingFields::num_logprobs by `logprobs` (true or false) and `top_logprobs`.
std::int32_t parse_chat_logprobs(FieldReader& fields);

// What values are checked against that the body alone cannot tell, and what stands in for absent ones.
struct SamplingContext {
    std::int32_t vocab_size = 0;
    std::int32_t max_choices = 1;  // that can run together
    double temperature = 1;
    double top_p = 1;
    std::uint64_t seed = 0;
};

// The engine's request but for prompt, principal and deadlines. Errors: invalid_value, naming the field.
result<Request> make_request(const SamplingFields& fields, const SamplingContext& context,
                             std::int32_t max_tokens);

}  // namespace solard::server
