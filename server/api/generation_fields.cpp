#include "server/api/generation_fields.hpp"

#include <array>

#include "server/api/json.hpp"

namespace solard::server {
namespace {

constexpr std::size_t max_label_bytes = 256;  // limit for `user` and for `cache_salt`

// OpenAI's fields which are accepted without effect. Some of these fields do not concern the answer. The
// others control features which this server does not have.
constexpr auto without_effect = std::to_array<std::string_view>({
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
});

// Unsupported fields of OpenAI, vLLM, SGLang and NIM which would change the meaning of an answer.
constexpr auto unsupported = std::to_array<std::string_view>({
    "allowed_token_ids",
    "audio",
    "bad_words",
    "best_of",
    "chat_template",
    "chat_template_kwargs",
    "documents",
    "echo",
    "ebnf",
    "function_call",
    "functions",
    "guided_choice",
    "guided_decoding_backend",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "guided_whitespace_pattern",
    "include_stop_str_in_output",
    "json_schema",
    "length_penalty",
    "logits_processors",
    "logprob_token_ids",
    "modalities",
    "nvext",
    "prediction",
    "prompt_embeds",
    "prompt_logprobs",
    "reasoning_effort",
    "regex",
    "response_format",
    "structural_tag",
    "structured_outputs",
    "suffix",
    "tool_choice",
    "tools",
    "truncate_prompt_tokens",
    "use_beam_search",
    "verbosity",
    "web_search_options",
});

void parse_stream_options(FieldReader& fields, UnknownFields unknown, GenerationFields& generation) {
    const auto* options = fields.object("stream_options");
    if (options == nullptr) return;
    FieldReader inner(*options, "stream_options.");
    generation.include_usage = inner.boolean("include_usage").value_or(false);
    generation.continuous_usage = inner.boolean("continuous_usage_stats").value_or(false);
    inner.ignore("include_obfuscation");
    if (unknown == UnknownFields::refused) inner.refuse_unknown();
    if (const auto& problem = inner.error()) {
        fields.fail(*problem);
    } else if (!generation.stream) {
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

GenerationFields parse_generation_fields(FieldReader& fields, UnknownFields unknown) {
    GenerationFields generation;
    generation.model = fields.string("model").value_or("");
    generation.sampling = parse_sampling_fields(fields);
    if (const auto limit = fields.integer("max_tokens", 1, max_token_count))
        generation.max_tokens = static_cast<std::int32_t>(*limit);
    generation.stream = fields.boolean("stream").value_or(false);
    parse_stream_options(fields, unknown, generation);
    generation.return_token_ids = fields.boolean("return_token_ids").value_or(false);
    const auto salt = fields.string("cache_salt");
    if (salt && (salt->empty() || salt->size() > max_label_bytes))
        fields.fail("cache_salt", "a string of 1 to 256 bytes");
    generation.cache_salt = salt.value_or("");
    if (fields.string("user").value_or("").size() > max_label_bytes)
        fields.fail("user", "a string of at most 256 bytes");
    for (const auto name : without_effect) fields.ignore(name);
    return generation;
}

std::optional<Error> check_rest(FieldReader& fields, UnknownFields unknown) {
    fields.refuse_unless_neutral(unsupported);
    if (unknown == UnknownFields::refused) fields.refuse_unknown();
    return fields.error();
}

}  // namespace solard::server
