#include "server/api/responses.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>

namespace solard::server {
namespace {

namespace json = boost::json;

constexpr std::size_t max_input_items = 1024;
constexpr std::size_t max_idempotency_key = 256;  // bytes
constexpr double min_delta_rate = 0.1;
constexpr double max_delta_rate = 120;
// OpenAI's limits of `metadata`, in bytes here, and a size for `user`: both are stored.
constexpr std::size_t max_metadata_pairs = 16;
constexpr std::size_t max_metadata_key = 64;
constexpr std::size_t max_metadata_value = 512;
constexpr std::size_t max_user = 512;
constexpr std::string_view logprobs_included = "message.output_text.logprobs";

// Accepted without effect where they ask for nothing; OpenAI's SDKs and agents send them so.
constexpr auto without_effect = std::to_array<std::string_view>({
    "context_management",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "stream_options",
});
constexpr auto neutral_only = std::to_array<std::string_view>({
    "background",
    "conversation",
    "max_tool_calls",
    "prompt",
    "reasoning",
    "tool_choice",
    "tools",
});

bool says(const json::value& value, std::string_view text) {
    return value.is_string() && std::string_view(value.get_string()) == text;
}

Error wrong(const std::string& path, std::string_view what) {
    return {errc::invalid_value, path + " must be " + std::string(what) + ".", path};
}

result<std::string> parse_content(const json::value& value, const std::string& path) {
    if (const auto* text = value.if_string()) return std::string(*text);
    const auto* parts = value.if_array();
    if (parts == nullptr) return wrong(path, "a string or a list of text parts");
    std::string text;
    for (const auto& part : *parts) {
        const auto* object = part.if_object();
        const auto* type = object != nullptr ? object->if_contains("type") : nullptr;
        const auto* content = object != nullptr ? object->if_contains("text") : nullptr;
        if (type == nullptr || !type->is_string()) return wrong(path, "parts with a type");
        const std::string_view name = type->get_string();
        if (name != "input_text" && name != "output_text" && name != "text")
            return Error{errc::unsupported_input, path + " may hold text parts only; this model reads text.",
                         path};
        if (content == nullptr || !content->is_string()) return wrong(path, "text parts with a text");
        text += std::string_view(content->get_string());
    }
    return text;
}

result<Role> parse_role(const json::value* value, const std::string& path) {
    const std::string_view name =
        value != nullptr && value->is_string() ? std::string_view(value->get_string()) : "";
    if (name == "user") return Role::user;
    if (name == "assistant") return Role::assistant;
    if (name == "system" || name == "developer") return Role::system;
    return wrong(path, "one of system, developer, user, assistant");
}

// A message item; its type may be left out, as the Agents SDK does.
result<ChatMessage> parse_item(const json::value& value, const std::string& path) {
    const auto* object = value.if_object();
    if (object == nullptr) return wrong(path, "an object");
    const auto* type = object->if_contains("type");
    if (type != nullptr && !type->is_null() && !says(*type, "message"))
        return Error{errc::unsupported_input, path + " may be a message only.", path + ".type"};
    const auto role = parse_role(object->if_contains("role"), path + ".role");
    if (!role) return role.error();
    const auto* content = object->if_contains("content");
    if (content == nullptr) return wrong(path + ".content", "there");
    auto text = parse_content(*content, path + ".content");
    if (!text) return text.error();
    return ChatMessage{*role, *std::move(text)};
}

result<std::vector<ChatMessage>> parse_input(const json::object& body) {
    const auto* input = body.if_contains("input");
    std::vector<ChatMessage> messages;
    if (input != nullptr && input->is_string()) {
        messages.push_back({Role::user, std::string(input->get_string())});
        return messages;
    }
    const auto* items = input != nullptr ? input->if_array() : nullptr;
    if (items == nullptr || items->empty() || items->size() > max_input_items)
        return wrong("input", "a string or a list of 1 to 1024 items");
    for (std::size_t i = 0; i < items->size(); ++i) {
        auto message = parse_item((*items)[i], "input[" + std::to_string(i) + "]");
        if (!message) return message.error();
        messages.push_back(*std::move(message));
    }
    return messages;
}

// {"format":{"type":"text"}}; a verbosity would change the answer.
void check_text(FieldReader& fields) {
    const auto* text = fields.object("text");
    if (text == nullptr) return;
    FieldReader inner(*text, "text.");
    if (const auto* format = inner.object("format")) {
        const auto* type = format->if_contains("type");
        if (type == nullptr || !says(*type, "text"))
            inner.fail(
                {errc::unsupported_parameter, "text.format is not supported by this server.", "text.format"});
    }
    inner.refuse_unless_neutral({"verbosity"});
    if (const auto& problem = inner.error()) fields.fail(*problem);
}

// Alternatives of each token; -1: no logprobs.
std::int32_t parse_logprobs(FieldReader& fields) {
    const auto alternatives = fields.integer("top_logprobs", 0, max_top_logprobs);
    bool included = false;
    if (const auto* include = fields.array("include")) {
        for (const auto& item : *include) {
            if (says(item, logprobs_included)) {
                included = true;
            } else {
                fields.fail({errc::unsupported_parameter,
                             "include may hold only message.output_text.logprobs.", "include"});
            }
        }
    }
    if (!included && alternatives.value_or(0) == 0) return -1;
    return static_cast<std::int32_t>(alternatives.value_or(0));
}

json::object parse_metadata(FieldReader& fields) {
    const auto* metadata = fields.object("metadata");
    if (metadata == nullptr) return {};
    const bool fits =
        metadata->size() <= max_metadata_pairs && std::ranges::all_of(*metadata, [](const auto& pair) {
            const auto* text = pair.value().if_string();
            return pair.key().size() <= max_metadata_key && text != nullptr &&
                   text->size() <= max_metadata_value;
        });
    if (!fits) fields.fail("metadata", "at most 16 strings of 512 bytes by names of 64");
    return *metadata;
}

bool parse_truncation(FieldReader& fields) {
    const auto truncation = fields.string("truncation").value_or("disabled");
    if (truncation != "disabled" && truncation != "auto") fields.fail("truncation", "auto or disabled");
    return truncation == "auto";
}

void parse_extension(FieldReader& fields, ResponseRequest& request) {
    const auto* extension = fields.object("solar");
    if (extension == nullptr) return;
    FieldReader inner(*extension, "solar.");
    request.resumable = inner.boolean("resumable").value_or(false);
    request.progress = inner.boolean("progress").value_or(false);
    request.max_delta_hz = inner.number("max_delta_hz", 0, max_delta_rate).value_or(0);
    if (request.max_delta_hz > 0 && request.max_delta_hz < min_delta_rate)
        inner.fail("max_delta_hz", "0, or from 0.1 to 120");
    request.idempotency_key = inner.string("idempotency_key").value_or("");
    if (request.idempotency_key.size() > max_idempotency_key)
        inner.fail("idempotency_key", "a string of at most 256 bytes");
    // Both find the response again where it is stored.
    if (!request.store && (request.resumable || !request.idempotency_key.empty()))
        inner.fail(request.resumable ? "resumable" : "idempotency_key", "absent where store is false");
    if (const auto& problem = inner.error()) fields.fail(*problem);
}

GenerationFields parse_generation(FieldReader& fields) {
    GenerationFields generation;
    generation.model = fields.string("model").value_or("");
    generation.sampling = parse_sampling_fields(fields);
    if (generation.sampling.num_choices > 1) fields.fail("n", "1 or absent");
    generation.sampling.num_logprobs = parse_logprobs(fields);
    if (const auto limit = fields.integer("max_output_tokens", 1, max_token_count))
        generation.max_tokens = static_cast<std::int32_t>(*limit);
    generation.stream = fields.boolean("stream").value_or(false);
    return generation;
}

}  // namespace

result<ResponseRequest> parse_response_request(std::string_view body, UnknownFields unknown) {
    const auto object = parse_body(body);
    if (!object) return object.error();
    FieldReader fields(*object);
    return parse_response_request(*object, fields, unknown);
}

result<ResponseRequest> parse_response_request(const json::object& object, FieldReader& fields,
                                               UnknownFields unknown) {
    ResponseRequest request;
    fields.ignore("input");  // read without the reader: it has two forms
    auto input = parse_input(object);
    if (input) {
        request.input = *std::move(input);
    } else {
        fields.fail(std::move(input).error());
    }
    request.instructions = fields.string("instructions");
    request.previous_response_id = fields.string("previous_response_id");
    request.generation = parse_generation(fields);
    request.store = fields.boolean("store").value_or(true);
    check_text(fields);
    request.truncate = parse_truncation(fields);
    request.metadata = parse_metadata(fields);
    request.user = fields.string("user");
    if (request.user && request.user->size() > max_user) fields.fail("user", "a string of at most 512 bytes");
    parse_extension(fields, request);
    for (const auto name : without_effect) fields.ignore(name);
    fields.refuse_unless_neutral(neutral_only);
    if (auto problem = check_rest(fields, unknown)) return *std::move(problem);
    return request;
}

}  // namespace solard::server
