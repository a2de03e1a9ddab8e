#include "server/api/responses.hpp"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>

#include "server/api/message_fields.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

constexpr std::size_t max_idempotency_key = 256;  // bytes
constexpr double min_delta_rate = 0.1;
constexpr double max_delta_rate = 120;
// The limits of `metadata` and `user`, which are stored. For `metadata`, these are OpenAI's limits, but they
// count bytes instead of characters.
constexpr std::size_t max_metadata_pairs = 16;
constexpr std::size_t max_metadata_key = 64;
constexpr std::size_t max_metadata_value = 512;
constexpr std::size_t max_user = 512;
constexpr std::string_view logprobs_included = "message.output_text.logprobs";

// OpenAI's parts of a response which can be asked for. Except the logprobs, they belong to items which this
// server never produces, so a response is complete without them.
constexpr auto includable = std::to_array<std::string_view>({
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
    "web_search_call.results",
});

bool says(const json::value& value, std::string_view text) {
    return value.is_string() && std::string_view(value.get_string()) == text;
}

std::string_view text_or_empty(const json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : "";
}

// Appends a call to the assistant's message at the end of the conversation, which may have to begin first.
result<void> append_call(const json::object& item, bool is_custom, const std::string& path,
                         std::vector<ChatMessage>& messages) {
    auto call = parse_call_members(item, is_custom, text_or_empty(item, "call_id"), path + ".");
    if (!call) return call.error();
    if (messages.empty() || messages.back().role != Role::assistant)
        messages.push_back({Role::assistant, ""});
    messages.back().calls.push_back(*std::move(call));
    return {};
}

result<void> append_call_output(const json::object& item, const std::string& path,
                                std::vector<ChatMessage>& messages) {
    auto output = parse_content(item.if_contains("output"), BodyKind::responses, path + ".output");
    if (!output) return output.error();
    messages.push_back({Role::tool, *std::move(output)});
    messages.back().call_id = text_or_empty(item, "call_id");
    return {};
}

// Reads an item and appends it to the conversation. The type of a message may be missing, because the Agents
// SDK leaves it out.
result<void> append_item(const json::value& value, const std::string& path,
                         std::vector<ChatMessage>& messages) {
    const auto* object = value.if_object();
    if (object == nullptr) return wrong_field(path, "an object", &value);
    const auto* type = object->if_contains("type");
    const std::string_view name =
        type == nullptr || type->is_null() ? "message" : text_or_empty(*object, "type");
    if (name == "reasoning") return {};  // of another server: the model has none
    if (name == "function_call" || name == "custom_tool_call")
        return append_call(*object, name == "custom_tool_call", path, messages);
    if (name == "function_call_output" || name == "custom_tool_call_output")
        return append_call_output(*object, path, messages);
    if (name != "message")
        return Error{errc::unsupported_input,
                     path +
                         " must be a message, a call of a function or custom tool, or the output of such "
                         "a call; this server supports no other items.",
                     path + ".type"};
    auto message = parse_message(value, BodyKind::responses, path);
    if (!message) return message.error();
    // A message that the assistant wrote after calls belongs to the same turn.
    if (message->role == Role::assistant && !messages.empty() && !messages.back().calls.empty()) {
        messages.back().content += message->content;
    } else {
        messages.push_back(*std::move(message));
    }
    return {};
}

result<std::vector<ChatMessage>> parse_input(const json::object& body) {
    const auto* input = body.if_contains("input");
    std::vector<ChatMessage> messages;
    if (input != nullptr && input->is_string()) {
        messages.push_back({Role::user, std::string(input->get_string())});
        return messages;
    }
    const auto* items = input != nullptr ? input->if_array() : nullptr;
    // After a response that only computed its prompt (`generate: false`), an empty list means "answer now".
    const auto* previous = body.if_contains("previous_response_id");
    const bool may_be_empty = previous != nullptr && previous->is_string();
    if (items == nullptr || (items->empty() && !may_be_empty) || items->size() > max_messages)
        return wrong_field("input", "a string or a list of 1 to " + std::to_string(max_messages) + " items",
                           input);
    for (std::size_t i = 0; i < items->size(); ++i) {
        const auto appended = append_item((*items)[i], "input[" + std::to_string(i) + "]", messages);
        if (!appended) return appended.error();
    }
    if (messages.empty() && !may_be_empty) return wrong_field("input", "a list with a message", nullptr);
    return messages;
}

// Returns the number of alternatives of each token, or -1 if the request wants no logprobs.
std::int32_t parse_logprobs(FieldReader& fields) {
    const auto alternatives = fields.integer("top_logprobs", 0, max_top_logprobs);
    bool included = false;
    if (const auto* include = fields.array("include")) {
        for (const auto& item : *include) {
            included = included || says(item, logprobs_included);
            const auto is_item = [&](std::string_view one) { return says(item, one); };
            if (std::ranges::none_of(includable, is_item))
                fields.fail("include", "a list of parts of a response, such as message.output_text.logprobs");
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
    if (!fits)
        fields.fail("metadata",
                    "an object of at most 16 strings of up to 512 bytes, with names of up to 64 bytes");
    return *metadata;
}

bool parse_truncation(FieldReader& fields) {
    const auto truncation = fields.string("truncation").value_or("disabled");
    if (truncation != "disabled" && truncation != "auto") fields.fail("truncation", "one of auto, disabled");
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
        inner.fail("max_delta_hz", "0 or a number from 0.1 to 120");
    request.idempotency_key = inner.string("idempotency_key").value_or("");
    if (request.idempotency_key.size() > max_idempotency_key)
        inner.fail("idempotency_key", "a string of at most 256 bytes");
    // `resumable` and `idempotency_key` need a stored response.
    if (!request.store && (request.resumable || !request.idempotency_key.empty()))
        inner.fail(request.resumable ? "resumable" : "idempotency_key", "absent if store is false");
    if (const auto& problem = inner.error()) fields.fail(*problem);
}

GenerationFields parse_generation(FieldReader& fields) {
    GenerationFields generation;
    generation.model = fields.string("model").value_or("");
    generation.sampling = parse_sampling_fields(fields);
    if (generation.sampling.num_choices > 1) fields.fail("n", "1 or absent");
    generation.sampling.num_logprobs = parse_logprobs(fields);
    generation.max_tokens = parse_max_tokens(fields, {"max_output_tokens"}, generation.sampling);
    generation.stream = fields.boolean("stream").value_or(false);
    generation.cache_salt = parse_cache_salt(fields);
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
    fields.ignore("input");  // parse_input() reads this field directly from the object
    auto input = parse_input(object);
    if (input) {
        request.input = *std::move(input);
    } else {
        fields.fail(std::move(input).error());
    }
    request.end = parse_prompt_end(fields, request.input);
    request.template_kwargs = parse_template_kwargs(fields);
    request.instructions = fields.string("instructions");
    request.previous_response_id = fields.string("previous_response_id");
    request.generation = parse_generation(fields);
    request.store = fields.boolean("store").value_or(true);
    request.truncate = parse_truncation(fields);
    request.metadata = parse_metadata(fields);
    request.user = fields.string("user");
    if (request.user && request.user->size() > max_user) fields.fail("user", "a string of at most 512 bytes");
    request.generation.grammar = parse_grammar_fields(fields, BodyKind::responses, unknown);
    if (const auto* text = fields.object("text")) {
        FieldReader inner(*text, "text.");
        auto format = parse_text_format(inner, unknown);
        check_other_fields(inner, BodyKind::responses, unknown, "text.");
        if (const auto& problem = inner.error()) fields.fail(*problem);
        if (format && request.generation.grammar)
            fields.fail("text", "without a format, because " + request.generation.grammar->field +
                                    " restricts the answer already");
        if (format) request.generation.grammar = std::move(format);
    }
    ToolFields tools = parse_tool_fields(fields, BodyKind::responses);
    request.generation.tools = std::move(tools.tools);
    request.shown_tools = std::move(tools.shown);
    parse_extension(fields, request);
    check_other_fields(fields, BodyKind::responses, unknown);
    if (const auto& problem = fields.error()) return *problem;
    return request;
}

}  // namespace solard::server
