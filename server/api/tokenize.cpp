#include "server/api/tokenize.hpp"

#include "inference/text/utf8.hpp"
#include "server/api/json.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

void append_sizes(std::string& out, std::size_t count, std::int32_t max_model_len) {
    out += R"("count":)";
    append_json_number(out, static_cast<std::int64_t>(count));
    out += R"(,"max_model_len":)";
    append_json_number(out, std::int64_t{max_model_len});
}

}  // namespace

result<TokenizeRequest> parse_tokenize_request(std::string_view body, UnknownFields unknown) {
    const auto object = parse_body(body);
    if (!object) return object.error();
    FieldReader fields(*object);
    TokenizeRequest request;
    request.model = fields.string("model").value_or("");
    if (auto text = fields.string("prompt")) {
        request.prompt = *std::move(text);
        for (const auto name : {"messages", "add_generation_prompt", "continue_final_message",
                                "chat_template_kwargs", "documents", "tools", "tool_choice"})
            fields.ignore(name);
    } else if (object->contains("messages")) {
        ChatPrompt prompt = parse_chat_prompt(*object, fields);
        if (auto tools = parse_tool_fields(fields, BodyKind::tokenize).tools)
            prompt.inputs.tools = std::move(tools->described);
        request.prompt = std::move(prompt);
    } else {
        fields.fail("prompt", "a string unless messages is sent");
    }
    request.encoding = parse_encode_options(fields);
    // The contents of messages never become special tokens.
    if (std::holds_alternative<ChatPrompt>(request.prompt)) request.encoding.parse_special = false;
    request.return_token_strs = fields.boolean("return_token_strs").value_or(false);
    check_other_fields(fields, BodyKind::tokenize, unknown);
    if (const auto& problem = fields.error()) return *problem;
    return request;
}

result<DetokenizeRequest> parse_detokenize_request(std::string_view body, UnknownFields unknown,
                                                   std::int32_t vocab_size) {
    const auto object = parse_body(body);
    if (!object) return object.error();
    FieldReader fields(*object);
    DetokenizeRequest request;
    request.model = fields.string("model").value_or("");
    const std::string expectation = "a list of token ids from 0 to " + std::to_string(vocab_size - 1);
    const auto* list = fields.array("tokens");
    if (auto tokens = list != nullptr ? token_ids_in(*list, vocab_size) : std::nullopt) {
        request.tokens = *std::move(tokens);
    } else {
        fields.fail("tokens", expectation);
    }
    request.skip_special_tokens = fields.boolean("skip_special_tokens").value_or(true);
    check_other_fields(fields, BodyKind::detokenize, unknown);
    if (const auto& problem = fields.error()) return *problem;
    return request;
}

std::string tokenize_json(std::span<const TokenId> token_ids, std::int32_t max_model_len,
                          bool return_token_strs, const Tokenizer& tokenizer) {
    std::string out = "{";
    append_sizes(out, token_ids.size(), max_model_len);
    out += R"(,"tokens":)";
    append_token_ids(out, token_ids);
    out += R"(,"token_strs":)";
    if (!return_token_strs) return out + "null}";
    out += '[';
    for (std::size_t i = 0; i < token_ids.size(); ++i) {
        if (i > 0) out += ',';
        append_json_string(out, valid_utf8(tokenizer.bytes_of(token_ids[i], false)));
    }
    return out + "]}";
}

std::string detokenize_json(const DetokenizeRequest& request, const Tokenizer& tokenizer) {
    std::string out = R"({"prompt":)";
    append_json_string(out, tokenizer.decode(request.tokens, request.skip_special_tokens));
    return out + "}";
}

std::string render_json(std::string_view model, std::string_view prompt, std::span<const TokenId> token_ids,
                        std::int32_t max_model_len) {
    std::string out = R"({"model":)";
    append_json_string(out, model);
    out += R"(,"prompt":)";
    append_json_string(out, prompt);
    out += R"(,"token_ids":)";
    append_token_ids(out, token_ids);
    out += ',';
    append_sizes(out, token_ids.size(), max_model_len);
    return out + "}";
}

}  // namespace solard::server
