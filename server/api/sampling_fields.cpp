#include "server/api/sampling_fields.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <charconv>
#include <limits>

namespace solard::server {
namespace {

namespace json = boost::json;

constexpr std::int64_t max_int32 = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t min_int32 = std::numeric_limits<std::int32_t>::min();

double number_or(FieldReader& fields, const NumberRange& range, double absent) {
    return fields.number(range.name, range.min, range.max, range.lower).value_or(absent);
}

std::int32_t integer_or(FieldReader& fields, std::string_view name, std::int64_t min, std::int64_t max,
                        std::int32_t absent) {
    return static_cast<std::int32_t>(fields.integer(name, min, max).value_or(absent));
}

std::vector<TokenId> parse_token_ids(FieldReader& fields, std::string_view name) {
    const auto* list = fields.array(name);
    if (list == nullptr) return {};
    auto ids = token_ids_in(*list, max_int32 + 1);
    if (ids && ids->size() <= max_stop_token_ids) return *std::move(ids);
    fields.fail(name, "a list of up to " + std::to_string(max_stop_token_ids) + " token ids");
    return {};
}

// Accepts only the shortest form of a number, so that two keys never name the same token.
std::optional<TokenId> parse_token_key(std::string_view key) {
    TokenId token = -1;
    const auto [end, ec] = std::from_chars(key.data(), key.data() + key.size(), token);
    const bool whole = ec == std::errc{} && end == key.data() + key.size();
    if (!whole || token < 0 || (key.front() == '0' && key.size() > 1)) return std::nullopt;
    return token;
}

std::vector<LogitBias> parse_logit_bias(FieldReader& fields) {
    constexpr std::string_view name = "logit_bias";
    const auto* value = fields.object().if_contains(name);
    if (value != nullptr && value->is_array() && value->get_array().empty())
        return fields.ignore(name), std::vector<LogitBias>();  // llama.cpp's form of an empty object
    const auto* object = fields.object(name);
    if (object == nullptr) return {};
    std::vector<LogitBias> biases;
    for (const auto& [key, value] : *object) {
        const auto token = parse_token_key(key);
        const double bias = value.is_number() ? value.to_number<double>() : max_logit_bias + 1;
        if (!token || bias < -max_logit_bias || bias > max_logit_bias || biases.size() == max_logit_biases) {
            fields.fail(name, "an object of up to " + std::to_string(max_logit_biases) +
                                  " numbers from -100 to 100, each named by a token id");
            return {};
        }
        biases.push_back({*token, static_cast<float>(bias)});
    }
    return biases;
}

// Converts a positive number to a float which is positive too, even if the nearest float is 0.
float positive(double value) {
    return std::max(static_cast<float>(value), std::numeric_limits<float>::min());
}

Error above_limit(const std::string& name, const std::string& limit, const json::value& value) {
    return wrong_field(name, "at most " + limit, &value);
}

result<void> check_token(std::string_view name, TokenId token, std::int32_t vocab_size) {
    if (token < vocab_size) return {};
    return Error{errc::invalid_value,
                 std::string(name) + " must contain only token ids from 0 to " +
                     std::to_string(vocab_size - 1) + ", but contains " + std::to_string(token) + ".",
                 std::string(name)};
}

result<void> check(const SamplingFields& fields, const SamplingContext& context) {
    if (std::cmp_greater(fields.num_choices, context.max_choices))
        return above_limit("n",
                           std::to_string(context.max_choices) + ", the limit for choices on this server",
                           fields.num_choices);
    for (const TokenId token : fields.stop_token_ids) {
        if (auto known = check_token("stop_token_ids", token, context.vocab_size); !known) return known;
    }
    for (const auto& [token, bias] : fields.logit_bias) {
        if (auto known = check_token("logit_bias", token, context.vocab_size); !known) return known;
    }
    return {};
}

}  // namespace

SamplingFields parse_sampling_fields(FieldReader& fields) {
    const auto optional_number = [&](const NumberRange& range) {
        return fields.number(range.name, range.min, range.max, range.lower);
    };
    SamplingFields sampling;
    sampling.temperature = optional_number(temperature_range);
    sampling.top_p = optional_number(top_p_range);
    sampling.min_p = optional_number(min_p_range);
    if (const auto top_k = fields.integer("top_k", -1, max_int32))
        sampling.top_k = std::max(static_cast<std::int32_t>(*top_k), 0);
    sampling.repetition_penalty = optional_number(repetition_penalty_range);
    sampling.frequency_penalty = number_or(fields, frequency_penalty_range, 0);
    sampling.presence_penalty = number_or(fields, presence_penalty_range, 0);
    sampling.seed = fields.seed("seed");
    sampling.stop = fields.stop("stop");
    sampling.stop_token_ids = parse_token_ids(fields, "stop_token_ids");
    sampling.min_tokens = integer_or(fields, "min_tokens", 0, max_token_count, 0);
    sampling.ignore_eos = fields.boolean("ignore_eos").value_or(false);
    sampling.skip_special_tokens = fields.boolean("skip_special_tokens").value_or(true);
    sampling.logit_bias = parse_logit_bias(fields);
    sampling.num_choices = static_cast<std::uint32_t>(integer_or(fields, "n", 1, max_choices, 1));
    sampling.priority = integer_or(fields, "priority", min_int32, max_int32, 0);
    return sampling;
}

std::int32_t parse_chat_logprobs(FieldReader& fields) {
    const bool wanted = fields.boolean("logprobs").value_or(false);
    const std::int32_t alternatives = integer_or(fields, "top_logprobs", 0, max_top_logprobs, 0);
    if (wanted) return alternatives;
    if (alternatives > 0) fields.fail("top_logprobs", "0 or absent unless logprobs is true");
    return -1;
}

result<Request> make_request(const SamplingFields& fields, const SamplingContext& context,
                             std::int32_t max_tokens) {
    if (auto fits = check(fields, context); !fits) return fits.error();
    Request request;
    request.max_tokens = max_tokens;
    request.num_choices = fields.num_choices;
    request.sampling = {
        .temperature = static_cast<float>(fields.temperature.value_or(context.temperature)),
        .top_p = positive(fields.top_p.value_or(context.top_p)),
        .min_p = static_cast<float>(fields.min_p.value_or(context.min_p)),
        .top_k = fields.top_k.value_or(context.top_k),
        .repetition_penalty = positive(fields.repetition_penalty.value_or(context.repetition_penalty)),
        .frequency_penalty = static_cast<float>(fields.frequency_penalty),
        .presence_penalty = static_cast<float>(fields.presence_penalty),
        .num_logprobs = fields.num_logprobs,
        .seed = fields.seed.value_or(context.seed)};
    request.logit_bias = fields.logit_bias;
    request.stop = fields.stop;
    request.stop_token_ids = fields.stop_token_ids;
    request.min_tokens = std::min(fields.min_tokens, max_tokens);
    request.ignore_eos = fields.ignore_eos;
    request.skip_special_tokens = fields.skip_special_tokens;
    request.priority = fields.priority;
    return request;
}

}  // namespace solard::server
