#include "server/api/generation_fields.hpp"

#include <algorithm>
#include <utility>

#include "server/api/json.hpp"

namespace solard::server {
namespace {

constexpr std::size_t max_label_bytes = 256;  // limit for `user` and for `cache_salt`

void parse_stream_options(FieldReader& fields, BodyKind kind, UnknownFields unknown,
                          GenerationFields& generation) {
    const auto* options = fields.object("stream_options");
    if (options == nullptr) return;
    FieldReader inner(*options, "stream_options.");
    generation.include_usage = inner.boolean("include_usage").value_or(false);
    generation.continuous_usage = inner.boolean("continuous_usage_stats").value_or(false);
    check_other_fields(inner, kind, unknown, "stream_options.");
    if (const auto& problem = inner.error()) {
        fields.fail(*problem);
    } else if (!generation.stream && !options->empty()) {
        fields.fail("stream_options", "absent unless stream is true");
    }
}

}  // namespace

result<boost::json::object> parse_body(std::string_view body) {
    auto parsed = parse_json(body);
    if (!parsed) return parsed.error();
    auto* object = parsed->if_object();
    if (object == nullptr) return Error{errc::invalid_json, "The body of the request must be a JSON object."};
    return std::move(*object);
}

std::optional<std::int32_t> parse_max_tokens(FieldReader& fields,
                                             std::initializer_list<std::string_view> names,
                                             const SamplingFields& sampling,
                                             std::optional<std::int32_t> absent, ZeroTokens zero) {
    std::optional<std::int32_t> found;
    for (const auto name : names) {
        const auto limit = fields.token_limit(name, zero == ZeroTokens::allowed ? 0 : 1);
        if (!limit) continue;
        found = std::min(found.value_or(*limit), *limit);
        if (sampling.min_tokens > *limit)
            fields.fail("min_tokens", "at most " + std::string(name) + " (" + std::to_string(*limit) + ")");
    }
    if (found || !absent) return found;
    return std::max(*absent, sampling.min_tokens);
}

std::int32_t parse_prompt_logprobs(FieldReader& fields, bool stream) {
    const auto count = fields.integer("prompt_logprobs", 0, max_top_logprobs);
    if (count && stream) fields.fail("prompt_logprobs", "absent if stream is true");
    return static_cast<std::int32_t>(count.value_or(-1));
}

EncodeOptions parse_encode_options(FieldReader& fields) {
    return {.add_special_tokens = fields.boolean("add_special_tokens").value_or(true),
            .parse_special = fields.boolean("parse_special").value_or(true)};
}

std::string parse_cache_salt(FieldReader& fields) {
    auto salt = fields.string("cache_salt");
    if (salt && (salt->empty() || salt->size() > max_label_bytes))
        fields.fail("cache_salt", "a string of 1 to 256 bytes");
    return std::move(salt).value_or("");
}

GenerationFields parse_generation_fields(FieldReader& fields, BodyKind kind, UnknownFields unknown) {
    GenerationFields generation;
    generation.model = fields.string("model").value_or("");
    generation.sampling = parse_sampling_fields(fields);
    generation.grammar = parse_grammar_fields(fields, kind, unknown);
    generation.stream = fields.boolean("stream").value_or(false);
    parse_stream_options(fields, kind, unknown, generation);
    generation.return_token_ids = fields.boolean("return_token_ids").value_or(false);
    generation.cache_salt = parse_cache_salt(fields);
    if (fields.string("user").value_or("").size() > max_label_bytes)
        fields.fail("user", "a string of at most 256 bytes");
    return generation;
}

}  // namespace solard::server
