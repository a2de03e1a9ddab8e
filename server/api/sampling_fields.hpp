// The fields of a request which say how its answer is generated. They are the same in every API.
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

// The range of a field's values. /v1/metadata lists all ranges for the web page.
struct NumberRange {
    std::string_view name;
    double min;
    double max;
    FieldReader::Bound lower = FieldReader::Bound::closed;
};
inline constexpr NumberRange temperature_range{"temperature", 0, 2};
inline constexpr NumberRange top_p_range{"top_p", 0, 1};  // 0 keeps only the likeliest token
inline constexpr NumberRange min_p_range{"min_p", 0, 1};
inline constexpr NumberRange repetition_penalty_range{"repetition_penalty", 0, 2, FieldReader::Bound::open};
inline constexpr NumberRange frequency_penalty_range{"frequency_penalty", -2, 2};
inline constexpr NumberRange presence_penalty_range{"presence_penalty", -2, 2};
inline constexpr std::array sampling_ranges{
    temperature_range,       top_p_range,           min_p_range, repetition_penalty_range,
    frequency_penalty_range, presence_penalty_range};
inline constexpr std::size_t max_stop_token_ids = 64;
inline constexpr double max_logit_bias = 100;  // the smallest allowed bias is -100

// The model has defaults for the optional fields. Any other field that the request does not set has a value
// that has no effect on the answer.
struct SamplingFields {
    std::optional<double> temperature;
    std::optional<double> top_p;
    std::optional<double> min_p;
    std::optional<std::int32_t> top_k;  // 0 = all
    std::optional<double> repetition_penalty;
    double frequency_penalty = 0;
    double presence_penalty = 0;
    std::optional<std::uint64_t> seed;
    std::vector<std::string> stop;
    std::vector<TokenId> stop_token_ids;
    std::int32_t min_tokens = 0;
    bool ignore_eos = false;
    bool skip_special_tokens = true;
    std::vector<LogitBias> logit_bias;
    std::uint32_t num_choices = 1;
    std::int32_t num_logprobs = -1;  // number of alternatives of each token; -1: no logprobs
    std::int32_t priority = 0;       // requests of one principal run in the order of this value, lowest first
};

// Reads all fields of SamplingFields except the logprobs, which each API requests in its own way. A problem
// is recorded in `fields`.
SamplingFields parse_sampling_fields(FieldReader& fields);
// Returns SamplingFields::num_logprobs according to `logprobs` (true or false) and `top_logprobs`.
std::int32_t parse_chat_logprobs(FieldReader& fields);

// The server's limits, and the values which replace absent fields.
struct SamplingContext {
    std::int32_t vocab_size = 0;
    std::int32_t max_choices = 1;  // maximum number of choices that can run together
    double temperature = 1;
    double top_p = 1;
    double min_p = 0;
    std::int32_t top_k = 0;
    double repetition_penalty = 1;
    std::uint64_t seed = 0;
};

// Returns a request for the engine which generates at most `max_tokens` tokens, and not less only because
// min_tokens is larger. Its prompt, principal and deadlines are not set yet. Errors: invalid_value; `param`
// names the field.
result<Request> make_request(const SamplingFields& fields, const SamplingContext& context,
                             std::int32_t max_tokens);

}  // namespace solard::server
