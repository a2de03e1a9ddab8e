#include "server/generation/admission.hpp"

#include <algorithm>
#include <boost/json/value.hpp>
#include <optional>
#include <span>
#include <utility>

#include "server/config/random_bits.hpp"
#include "server/config/shown.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

constexpr std::size_t max_inline_encode_bytes = 2 << 10;  // at most one millisecond of the event loop
constexpr std::size_t message_work = 16;  // a message or a call is as much work as so many bytes
// Of a chat template: at most half a millisecond. Usual templates take a tenth of that for a short
// conversation.
constexpr std::size_t max_inline_steps = 4000;

std::string maximum_context(const ServedModel& model) {
    return "This model's maximum context length is " + std::to_string(model.context_length) + " tokens";
}

// Returns how many tokens the context and the KV cache can hold besides the prompt, but at most the bound of
// the request or the model. A prompt must leave room for a token, unless the request asks for 0 tokens.
result<std::int32_t> choose_max_tokens(const GenerationService& generation, std::size_t prompt_tokens,
                                       const GenerationFields& fields, std::string_view field) {
    const auto context = std::int64_t{generation.model.context_length};
    const auto prompt = static_cast<std::int64_t>(prompt_tokens);
    const std::int64_t longest = fields.max_tokens == 0 ? context : context - 1;
    if (prompt > longest)
        return Error{errc::context_length_exceeded,
                     maximum_context(generation.model) + ", but the prompt has " + std::to_string(prompt) +
                         " tokens; shorten it to at most " + std::to_string(longest) + ".",
                     std::string(field)};
    const auto pool = generation.engine.capacity_tokens();
    const auto rest = pool > prompt ? std::min(context, pool) - prompt : context - prompt;
    return static_cast<std::int32_t>(std::min<std::int64_t>(generation.model.token_bound(fields), rest));
}

// Checks how many log-probabilities of prompts the answer would have.
result<void> check_prompt_logprobs(const GenerationService& generation, const GenerationFields& fields,
                                   const std::vector<Request>& requests) {
    if (fields.num_prompt_logprobs < 0) return {};
    std::int64_t num_tokens = 0;
    for (const Request& request : requests)
        num_tokens += static_cast<std::int64_t>(request.prompt.size()) - 1;
    const std::int64_t num_copies = fields.repeats_prompt_logprobs ? fields.sampling.num_choices : 1;
    const std::int64_t count = num_tokens * (1 + fields.num_prompt_logprobs) * num_copies;
    if (count <= generation.config.max_prompt_logprobs) return {};
    return Error{
        errc::invalid_value,
        "The answer would have " + std::to_string(count) +
            " log-probabilities of prompt tokens and their alternatives, but the server allows only " +
            std::to_string(generation.config.max_prompt_logprobs) +
            " (--max-prompt-logprobs); ask for fewer alternatives or send fewer or shorter prompts.",
        fields.prompt_logprobs == fields.num_prompt_logprobs ? "prompt_logprobs" : "logprobs"};
}

// Returns the caller's own salt, combined with the `cache_salt` of the request if there is one. With
// different values of `cache_salt`, a caller can separate its own prompts in the prefix cache.
std::uint64_t cache_salt(const GenerationService& generation, const Caller& caller,
                         const std::string& requested) {
    const std::uint64_t own = generation.gate.cache_salt(caller);
    if (requested.empty()) return own;
    std::vector<std::uint64_t> words{own, requested.size()};
    for (std::size_t i = 0; i < requested.size(); i += 8) {
        std::uint64_t word = 0;
        for (const char c : std::string_view(requested).substr(i, 8))
            word = word << 8 | static_cast<unsigned char>(c);
        words.push_back(word);
    }
    return siphash_128(generation.hash_key, words).low;
}

result<void> check_text_size(const ServedModel& model, const Tokenizer& tokenizer, std::size_t num_bytes,
                             std::string_view field) {
    const std::size_t longest = tokenizer.longest_piece_bytes();
    if (num_bytes <= static_cast<std::size_t>(model.context_length) * longest) return {};
    return Error{errc::context_length_exceeded,
                 maximum_context(model) + ", but the prompt has " + std::to_string(num_bytes) +
                     " bytes and at least " + std::to_string(num_bytes / longest) + " tokens; shorten it.",
                 std::string(field)};
}

Error too_many_long_prompts() {
    return {errc::server_overloaded,
            "Too many long prompts of this client are waiting to be tokenized; retry later."};
}

std::size_t text_bytes(const boost::json::value& value) {
    std::size_t num_bytes = 1;
    if (value.is_string()) num_bytes += value.get_string().size();
    if (value.is_array())
        for (const auto& item : value.get_array()) num_bytes += text_bytes(item);
    if (value.is_object())
        for (const auto& [name, item] : value.get_object()) num_bytes += name.size() + text_bytes(item);
    return num_bytes;
}

// Returns how much work the messages are, in bytes of text.
std::size_t message_bytes(std::span<const ChatMessage> messages) {
    std::size_t num_bytes = 0;
    for (const ChatMessage& message : messages) {
        num_bytes +=
            message_work + message.content.size() + message.name.value_or("").size() + message.call_id.size();
        for (const ToolCall& call : message.calls)
            num_bytes += message_work + call.id.size() + call.name.size() + call.arguments.size();
    }
    return num_bytes;
}

std::size_t content_bytes(std::span<const ChatMessage> messages) {
    std::size_t num_bytes = 0;
    for (const ChatMessage& message : messages) num_bytes += message.content.size();
    return num_bytes;
}

std::size_t text_bytes(const ChatPrompt& prompt) {
    std::size_t num_bytes = message_bytes(prompt.messages);
    for (const auto* list : {&prompt.inputs.tools, &prompt.inputs.documents})
        for (const auto& item : *list) num_bytes += text_bytes(item);
    for (const auto& [name, value] : prompt.inputs.kwargs) num_bytes += name.size() + text_bytes(value);
    return num_bytes;
}

Error about_field(const solard::Error& error, std::string_view field) {
    Error converted = to_server_error(error);
    converted.param = field;
    return converted;
}

// May run on the worker thread. Has some error if the prompt has more than `max_bytes`.
result<RenderedChat> render_and_encode(const ServedModel& model, const Tokenizer& tokenizer,
                                       const ChatPrompt& prompt, const std::string& field,
                                       std::size_t max_steps, std::size_t max_bytes) {
    const auto text = model.chat_template.render(prompt.messages, prompt.end, prompt.inputs, max_steps);
    if (!text) {
        // A conversation that is too long for the context can reach a limit of the template first.
        const auto fits = check_text_size(model, tokenizer, content_bytes(prompt.messages), field);
        if (!fits) return fits.error();
        return about_field(text.error(), field);
    }
    if (auto fits = check_text_size(model, tokenizer, text->size(), field); !fits) return fits.error();
    if (text->size() > max_bytes) return too_many_long_prompts();
    auto token_ids = tokenizer.encode_chat(*text, prompt.add_special_tokens);
    if (!token_ids) return about_field(token_ids.error(), field);
    return RenderedChat{text->bytes(), *std::move(token_ids)};
}

// Returns the grammar of an answer that may call tools. `text_grammar` is what its text must follow.
result<GrammarSource> grammar_with_calls(const ToolForm& form, const Tools& tools,
                                         const std::optional<AnswerGrammar>& text_grammar) {
    std::string text_schema;
    if (text_grammar && !tools.must_call) {
        using Kind = GrammarSource::Kind;
        const GrammarSource& text = text_grammar->source;
        // The beginnings of a text and of a call must differ.
        if (form.trigger.starts_with('{') ||
            (text.kind != Kind::json_schema && text.kind != Kind::json_object))
            return Error{errc::invalid_value,
                         text_grammar->field + " must be absent if there are tools to call.",
                         text_grammar->field};
        text_schema = text.kind == Kind::json_schema ? text.text : std::string(R"({"type":"object"})");
    }
    return grammar_of_calls(tools, form, text_schema);
}

// Returns how the calls are found in the answer.
CallRules call_rules(const ToolForm& form, const Tools& tools, bool text_has_schema) {
    CallRules rules{form};
    rules.must_call = tools.must_call;
    rules.calls_come_first = text_has_schema;
    for (const Tool& tool : tools.callable)
        if (tool.is_custom) rules.custom_tools.push_back(tool.name);
    return rules;
}

// Adds to a request what the calls of tools need.
void allow_calls(const GenerationService& generation, bool text_has_schema, Request& request) {
    const ToolForm& form = generation.tool_form;
    // A call that may not be followed by anything ends with the answer.
    request.unsearched = {std::string(form.trigger), std::string(form.several ? form.tail : ""),
                          text_has_schema};
    if (generation.shows_tool_trigger) request.skip_special_tokens = false;
}

}  // namespace

result<void> check_model(const GenerationService& generation, const std::string& name) {
    if (generation.model.answers_to(name)) return {};
    return Error{errc::model_not_found,
                 "The model '" + shown(name) + "' does not exist; this server serves '" +
                     generation.model.names.front() + "'.",
                 "model"};
}

result<void> check_text_size(const GenerationService& generation, std::size_t num_bytes,
                             std::string_view field) {
    return check_text_size(generation.model, generation.tokenizer, num_bytes, field);
}

asio::awaitable<result<std::vector<std::vector<TokenId>>>> encode_prompts(GenerationService& generation,
                                                                          JobSource source,
                                                                          std::vector<std::string> texts,
                                                                          EncodeOptions options,
                                                                          std::string_view field) {
    std::size_t num_bytes = 0;
    for (const auto& text : texts) {
        if (auto fits = check_text_size(generation, text.size(), field); !fits) co_return fits.error();
        num_bytes += text.size();
    }
    const bool is_short = num_bytes <= max_inline_encode_bytes;
    if (!is_short && !generation.worker.has_capacity(source.owner)) co_return too_many_long_prompts();
    auto work = [&tokenizer = generation.tokenizer, texts = std::move(texts), options,
                 field]() -> result<std::vector<std::vector<TokenId>>> {
        std::vector<std::vector<TokenId>> prompts;
        prompts.reserve(texts.size());
        for (const auto& text : texts) {
            auto prompt = tokenizer.encode(text, options);
            if (!prompt) return about_field(prompt.error(), field);
            prompts.push_back(*std::move(prompt));
        }
        return prompts;
    };
    auto encoding = generation.worker.offload(source, is_short, std::move(work));
    co_return co_await std::move(encoding);
}

asio::awaitable<result<std::vector<TokenId>>> encode_prompt(GenerationService& generation, JobSource source,
                                                            std::string text, EncodeOptions options,
                                                            std::string_view field) {
    std::vector<std::string> texts;
    texts.push_back(std::move(text));
    auto encoding = encode_prompts(generation, source, std::move(texts), options, field);
    auto prompts = co_await std::move(encoding);
    if (!prompts) co_return prompts.error();
    co_return std::move(prompts->front());
}

asio::awaitable<result<RenderedChat>> render_chat(GenerationService& generation, JobSource source,
                                                  ChatPrompt prompt, std::string_view field) {
    const std::size_t num_bytes = text_bytes(prompt);
    auto render = [&model = generation.model, &tokenizer = generation.tokenizer, prompt = std::move(prompt),
                   field = std::string(field)](std::size_t max_steps, std::size_t max_bytes) {
        return render_and_encode(model, tokenizer, prompt, field, max_steps, max_bytes);
    };
    // A short conversation can be long work for its template. Whatever fails here gets its error from the
    // worker thread.
    if (num_bytes <= max_inline_encode_bytes) {
        auto rendered = render(max_inline_steps, 4 * max_inline_encode_bytes);
        if (rendered || !generation.model.chat_template.exists()) co_return std::move(rendered);
    }
    if (!generation.worker.has_capacity(source.owner)) co_return too_many_long_prompts();
    auto rendering = generation.worker.offload(
        source, false, [render = std::move(render)] { return render(SIZE_MAX, SIZE_MAX); });
    co_return co_await std::move(rendering);
}

asio::awaitable<result<std::shared_ptr<const Grammar>>> grammar_of(GenerationService& generation,
                                                                   JobSource source,
                                                                   const GenerationFields& fields,
                                                                   std::size_t prompt_tokens,
                                                                   std::string_view prompt_field) {
    std::string field;
    result<GrammarSource> wanted{GrammarSource()};
    if (fields.tools) {
        field = "tools";
        wanted = grammar_with_calls(generation.tool_form, *fields.tools, fields.grammar);
    } else if (fields.grammar) {
        field = fields.grammar->field;
        wanted = fields.grammar->source;
    } else {
        co_return std::shared_ptr<const Grammar>();
    }
    // A prompt that will be refused must not cost a compilation.
    const auto max_tokens = choose_max_tokens(generation, prompt_tokens, fields, prompt_field);
    if (!max_tokens) co_return max_tokens.error();
    if (!wanted) co_return wanted.error();
    auto compiling = generation.grammars.compile(source, *std::move(wanted), std::move(field));
    co_return co_await std::move(compiling);
}

result<Generation> admit(GenerationService& generation, const GenerationFields& fields, const Caller& caller,
                         std::vector<std::vector<TokenId>> prompts,
                         const std::shared_ptr<const Grammar>& grammar, std::string_view field) {
    const ModelConfig& model = generation.model.config;
    const GenerationConfig& defaults = model.generation;
    SamplingContext context{.vocab_size = model.vocab_size,
                            .max_choices = max_choices_together(generation),
                            .temperature = defaults.temperature,
                            .top_p = defaults.top_p,
                            .min_p = defaults.min_p,
                            .top_k = defaults.top_k,
                            .repetition_penalty = defaults.repetition_penalty};
    const auto now = Clock::now();
    std::vector<Request> requests;
    for (auto& prompt : prompts) {
        if (prompt.empty())
            return Error{
                errc::invalid_value,
                "The prompt has no tokens; send some text, or add_special_tokens: true if the model has "
                "a token for the beginning of a text.",
                std::string(field)};
        const auto max_tokens = choose_max_tokens(generation, prompt.size(), fields, field);
        if (!max_tokens) return max_tokens.error();
        // If the request has no seed, each prompt gets a random seed of 53 bits, because larger integers are
        // not exact in JavaScript.
        context.seed = random_bits() >> 11;
        auto request = make_request(fields.sampling, context, *max_tokens);
        if (!request) return request.error();
        request->prompt = std::move(prompt);
        request->num_prompt_logprobs = fields.num_prompt_logprobs;
        request->grammar = grammar;
        if (fields.tools) allow_calls(generation, fields.grammar.has_value(), *request);
        request->cache_salt = cache_salt(generation, caller, fields.cache_salt);
        request->queue_deadline = now + generation.config.queue_timeout;
        request->request_deadline = now + generation.config.request_timeout;
        requests.push_back(*std::move(request));
    }
    if (auto fits = check_prompt_logprobs(generation, fields, requests); !fits) return fits.error();
    auto place = generation.gate.take_place(caller, now);
    if (!place) return place.error();
    std::optional<CallRules> calls;
    if (fields.tools) calls = call_rules(generation.tool_form, *fields.tools, fields.grammar.has_value());
    auto submitted = generation.engine.submit(std::move(requests), caller, *std::move(place),
                                              fields.return_token_ids, std::move(calls));
    if (!submitted) return submitted;
    submitted->log().charge_to(generation.waiting_memory, memory_owner(caller));
    if (grammar) submitted->log().charge_grammar(grammar->num_bytes());
    return submitted;
}

asio::awaitable<result<Generation>> compile_and_admit(GenerationService& generation, JobSource source,
                                                      const GenerationFields& fields, Caller caller,
                                                      std::vector<std::vector<TokenId>> prompts,
                                                      std::string_view field) {
    const auto longest = std::ranges::max_element(prompts, {}, &std::vector<TokenId>::size);
    auto compiling = grammar_of(generation, source, fields, longest->size(), field);
    auto grammar = co_await std::move(compiling);
    if (!grammar) co_return grammar.error();
    co_return admit(generation, fields, caller, std::move(prompts), *grammar, field);
}

std::int32_t max_choices_together(const GenerationService& generation) {
    const auto max_of_request = static_cast<std::int32_t>(max_choices);
    const auto& info = generation.engine.info();  // absent while the server is starting
    return info ? std::min(max_of_request, info->max_running) : max_of_request;
}

}  // namespace solard::server
