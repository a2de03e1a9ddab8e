#include "server/api/completions.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <limits>

#include "inference/text/utf8.hpp"
#include "server/api/json.hpp"
#include "server/api/logprobs.hpp"

namespace solard::server {
namespace {

namespace json = boost::json;

constexpr std::int32_t default_max_tokens = 16;
constexpr std::string_view prompt_expectation =
    "a string, a list of token ids, or a list of up to 128 strings or of up to 128 lists of token ids";

std::optional<PromptInput> parse_prompt(const json::value& value) {
    if (const auto* text = value.if_string()) return std::string(*text);
    const auto* list = value.if_array();
    if (list == nullptr || list->empty()) return std::nullopt;
    return token_ids_in(*list, std::int64_t{std::numeric_limits<TokenId>::max()} + 1);
}

std::vector<PromptInput> parse_prompts(const json::object& body, FieldReader& fields) {
    fields.ignore("prompt");  // this function reads `prompt` directly from `body`
    const auto* value = body.if_contains("prompt");
    const auto* list = value != nullptr ? value->if_array() : nullptr;
    std::vector<PromptInput> prompts;
    const auto take = [&](const json::value& item) {
        if (auto prompt = parse_prompt(item)) {
            prompts.push_back(*std::move(prompt));
        } else {
            fields.fail("prompt", prompt_expectation);
        }
    };
    const bool is_list_of_prompts = list != nullptr && !list->empty() && !list->front().is_number();
    if (is_list_of_prompts && list->size() <= max_outputs) {
        for (const auto& item : *list) take(item.kind() == list->front().kind() ? item : json::value());
    } else {
        take(value != nullptr && !is_list_of_prompts ? *value : json::value());
    }
    return prompts;
}

// Returns -1, which means no logprobs, if the field is absent, null or false. NIM's client sends false.
std::int32_t parse_logprobs(const json::object& body, FieldReader& fields) {
    const auto* value = body.if_contains("logprobs");
    if (value != nullptr && *value == false) return fields.ignore("logprobs"), -1;
    return static_cast<std::int32_t>(fields.integer("logprobs", 0, max_top_logprobs).value_or(-1));
}

}  // namespace

result<CompletionRequest> parse_completion_request(std::string_view body, UnknownFields unknown) {
    const auto object = parse_body(body);
    if (!object) return object.error();
    FieldReader fields(*object);
    CompletionRequest request;
    request.prompts = parse_prompts(*object, fields);
    request.generation = parse_generation_fields(fields, BodyKind::completions, unknown);
    auto& generation = request.generation;
    generation.sampling.num_logprobs = parse_logprobs(*object, fields);
    request.encoding = parse_encode_options(fields);
    request.echo = fields.boolean("echo").value_or(false);
    generation.prompt_logprobs = parse_prompt_logprobs(fields, generation.stream);
    generation.num_prompt_logprobs =
        std::max(generation.prompt_logprobs, request.echo ? generation.sampling.num_logprobs : -1);
    generation.repeats_prompt_logprobs = true;
    const bool tells_of_prompt = request.echo || generation.prompt_logprobs >= 0;
    generation.max_tokens =
        parse_max_tokens(fields, {"max_tokens", "max_completion_tokens", "n_predict"}, generation.sampling,
                         default_max_tokens, tells_of_prompt ? ZeroTokens::allowed : ZeroTokens::refused);
    if (request.prompts.size() * generation.sampling.num_choices > max_outputs)
        fields.fail("prompt", "a shorter list: the number of prompts times n must not exceed " +
                                  std::to_string(max_outputs));
    // With as many candidates as choices, there is nothing to choose.
    const auto* best_of = object->if_contains("best_of");
    if (best_of != nullptr && whole_number(*best_of) == std::int64_t{generation.sampling.num_choices})
        fields.ignore("best_of");
    check_other_fields(fields, BodyKind::completions, unknown);
    if (const auto& problem = fields.error()) return *problem;
    return request;
}

CompletionAnswerWriter::CompletionAnswerWriter(AnswerContext context, bool echo)
    : AnswerWriter(std::move(context)), echo_(echo) {
    prefix_ = "data: ";
    append_identity(prefix_, context_.identity, "text_completion");
    prefix_ += R"(,"choices":[)";
}

template <class Out>
void CompletionAnswerWriter::append_choice(Out& out, const LogDelta& delta, const Place& place) const {
    const bool begins = !place.begun;
    tail_of(out) += R"({"index":)";
    append_json_number(tail_of(out), std::int64_t{delta.output});
    tail_of(out) += R"(,"text":)";
    append_echoed_text(out, begins && echo_ ? prompt_of(delta.output).text : no_text, delta.text);
    tail_of(out) += R"(,"logprobs":)";
    CompletionLogprobsForm form{.num_alternatives = context_.fields.sampling.num_logprobs,
                                .answer_offset = place.characters};
    if (echoes_logprobs()) {
        form.num_prompt_alternatives = context_.fields.num_prompt_logprobs;
        form.prompt_offset = place.prompt_characters;
        const ShownPrompt& prompt = prompt_of(delta.output);
        form.dropped_space = prompt.dropped_space;
        form.skip_special_in_prompt = prompt.skip_special_tokens;
        if (begins) {
            form.first_token = prompt.first_token;
            form.first_token_characters = prompt.first_token_characters;
        }
    }
    append_completion_logprobs(out, context_.texts(), delta, form);
    tail_of(out) += ',';
    if (context_.fields.prompt_logprobs >= 0) {
        tail_of(out) += R"("prompt_logprobs":)";
        append_prompt_logprobs(out, context_.tokenizer, delta.prompt_logprobs,
                               context_.fields.num_prompt_logprobs, context_.fields.prompt_logprobs);
        tail_of(out) += ',';
    }
    if (context_.fields.return_token_ids) {
        if (begins) {
            tail_of(out) += R"("prompt_token_ids":)";
            append_token_ids(out, prompt_of(delta.output).token_ids);
            tail_of(out) += ',';
        }
        tail_of(out) += R"("token_ids":)";
        append_token_ids(out, delta.token_ids);
        tail_of(out) += ',';
    }
    if (delta.finish == FinishReason::none) {
        tail_of(out) += R"("finish_reason":null)";
    } else {
        append_finish(tail_of(out), name_of(delta.finish), delta, context_.fields.sampling.stop);
    }
    tail_of(out) += '}';
}

Document CompletionAnswerWriter::whole(std::span<const LogDelta> outputs, const Usage& usage) const {
    Document out;
    append_identity(out.tail(), context_.identity, "text_completion");
    out.tail() += R"(,"choices":[)";
    for (const LogDelta& output : outputs) {
        if (output.output > 0) out.tail() += ',';
        append_choice(out, output, begin_of(output.output));
    }
    out.tail() += R"(],"usage":)";
    append_usage(out.tail(), usage);
    out.tail() += '}';
    return out;
}

void CompletionAnswerWriter::append_chunks(std::string& out, const LogDelta& delta, const Usage& usage) {
    while (places_.size() <= delta.output)
        places_.push_back(begin_of(static_cast<std::uint32_t>(places_.size())));
    Place& place = places_[delta.output];
    const bool begins = !place.begun;
    const bool has_echo = begins && echo_ && !prompt_of(delta.output).text.empty();
    const bool has_tokens = !delta.logprobs.empty() || !delta.token_ids.empty() ||
                            (echoes_logprobs() && !delta.prompt_logprobs.empty());
    if (delta.text.empty() && !has_echo && !has_tokens && delta.finish == FinishReason::none) return;
    out += prefix_;
    append_choice(out, delta, place);
    out += ']';
    if (context_.fields.continuous_usage) {
        out += R"(,"usage":)";
        append_usage(out, usage);
    }
    out += "}\n\n";
    place.characters +=
        num_characters(context_.texts(), delta.logprobs, context_.fields.sampling.num_logprobs);
    if (echoes_logprobs()) {
        const ShownPrompt& prompt = prompt_of(delta.output);
        const TokenTexts texts{context_.tokenizer, prompt.skip_special_tokens};
        if (begins) place.prompt_characters = prompt.first_token_characters;
        place.prompt_characters +=
            num_characters(texts, delta.prompt_logprobs, context_.fields.num_prompt_logprobs);
    }
    place.begun = true;
}

void CompletionAnswerWriter::append_usage_chunk(std::string& out, const Usage& usage) const {
    if (!context_.fields.include_usage) return;
    out += prefix_;
    out += R"(],"usage":)";
    append_usage(out, usage);
    out += "}\n\n";
}

const ShownPrompt& CompletionAnswerWriter::prompt_of(std::uint32_t output) const {
    return context_.prompts.at(output / context_.fields.sampling.num_choices);
}

CompletionAnswerWriter::Place CompletionAnswerWriter::begin_of(std::uint32_t output) const {
    return {.characters = echoes_logprobs() ? count_characters(prompt_of(output).text) : 0};
}

}  // namespace solard::server
