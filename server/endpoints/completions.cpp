// POST /v1/completions.
#include <algorithm>
#include <span>
#include <utility>

#include "inference/text/utf8.hpp"
#include "server/api/completions.hpp"
#include "server/endpoints/answer.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/generation/admission.hpp"
#include "server/generation/parse_body.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

result<void> check_tokens(std::span<const TokenId> token_ids, TokenId vocab_size) {
    for (const TokenId token : token_ids) {
        if (token >= vocab_size)
            return Error{errc::invalid_value,
                         "prompt must consist of token ids from 0 to " + std::to_string(vocab_size - 1) +
                             ", but contains " + std::to_string(token) + ".",
                         "prompt"};
    }
    return {};
}

// Returns the prompts as token ids. The inputs must be either all texts or all token ids.
asio::awaitable<result<std::vector<std::vector<TokenId>>>> encode(GenerationService& generation,
                                                                  JobSource source,
                                                                  std::vector<PromptInput> inputs,
                                                                  EncodeOptions options) {
    std::vector<std::string> texts;
    std::vector<std::vector<TokenId>> prompts;
    for (PromptInput& input : inputs) {
        if (auto* text = std::get_if<std::string>(&input)) {
            texts.push_back(std::move(*text));
            continue;
        }
        auto& token_ids = std::get<std::vector<TokenId>>(input);
        if (auto known = check_tokens(token_ids, generation.model.config.vocab_size); !known)
            co_return known.error();
        prompts.push_back(std::move(token_ids));
    }
    if (texts.empty()) co_return prompts;
    auto encoding = encode_prompts(generation, source, std::move(texts), options, "prompt");
    co_return co_await std::move(encoding);
}

asio::awaitable<result<std::vector<std::string>>> texts_of(GenerationService& generation, JobSource source,
                                                           std::vector<std::vector<TokenId>> prompts,
                                                           bool skip_special_tokens) {
    std::size_t num_tokens = 0;
    for (const auto& prompt : prompts) num_tokens += prompt.size();
    auto work = [prompts = std::move(prompts), skip_special_tokens, &tokenizer = generation.tokenizer] {
        std::vector<std::string> texts;
        for (const auto& prompt : prompts) texts.push_back(tokenizer.decode(prompt, skip_special_tokens));
        return texts;
    };
    auto decoding = generation.worker.offload(source, num_tokens <= max_inline_tokens, std::move(work));
    co_return co_await std::move(decoding);
}

// Says where the tokens of a prompt are in `shown.text`. A prompt that was text contains the special tokens
// that it was written with. The text does not contain BOS, if it was added, and the space that the tokenizer
// adds.
void place_tokens(ShownPrompt& shown, std::span<const TokenId> token_ids, const Tokenizer& tokenizer,
                  bool is_text, bool may_name_tokens) {
    const TokenTexts texts{tokenizer, shown.skip_special_tokens};
    const auto word =
        std::ranges::find_if_not(token_ids, [&](TokenId token) { return tokenizer.bytes_of(token).empty(); });
    std::string leading;  // the special tokens before the first word
    for (auto token = token_ids.begin(); token != word; ++token) leading += texts.bytes_of(*token);
    const std::string_view first = texts.bytes_of(token_ids.front());
    std::size_t num_leading = count_characters(leading);
    shown.first_token = token_ids.front();
    if (leading.empty() || (may_name_tokens && shown.text.starts_with(leading))) {
        shown.first_token_characters = count_characters(first);
    } else {
        num_leading -= count_characters(first);
    }
    // decode() takes the space away only at the beginning of a text.
    const bool lacks_space = tokenizer.adds_space() && (is_text || leading.empty());
    if (lacks_space && word != token_ids.end() && texts.bytes_of(*word).starts_with(' '))
        shown.dropped_space = num_leading;
}

// Returns the parts of each prompt that the answer repeats.
asio::awaitable<result<std::vector<ShownPrompt>>> shown_prompts(
    GenerationService& generation, JobSource source, const CompletionRequest& request,
    const std::vector<std::vector<TokenId>>& prompts) {
    std::vector<ShownPrompt> shown(prompts.size());
    const bool is_text = std::holds_alternative<std::string>(request.prompts.front());
    std::vector<std::string> texts;
    if (request.echo && !is_text) {
        auto decoding =
            texts_of(generation, source, prompts, request.generation.sampling.skip_special_tokens);
        auto decoded = co_await std::move(decoding);
        if (!decoded) co_return decoded.error();
        texts = *std::move(decoded);
    }
    for (std::size_t i = 0; i < prompts.size(); ++i) {
        if (request.echo && is_text) shown[i].text = std::get<std::string>(request.prompts[i]);
        if (request.echo && !is_text) shown[i].text = std::move(texts[i]);
        if (request.generation.return_token_ids) shown[i].token_ids = prompts[i];
        if (request.echo && !prompts[i].empty()) {  // admit() refuses an empty prompt
            shown[i].skip_special_tokens = !is_text && request.generation.sampling.skip_special_tokens;
            place_tokens(shown[i], prompts[i], generation.tokenizer, is_text,
                         !is_text || request.encoding.parse_special);
        }
    }
    co_return shown;
}

asio::awaitable<result<PendingAnswer>> begin_completion(GenerationService& generation,
                                                        HttpExchange& exchange) {
    // This check comes first, so that a full or starting server does no work for a request.
    if (auto open = generation.engine.check_open(exchange.request().caller); !open) co_return open.error();
    // The charge ends when the request was admitted or refused.
    const auto charge = exchange.take_body_charge();
    const JobSource source{exchange.request().caller.owner, charge.get()};
    auto parsing = parse_body(generation, source, exchange.take_body(), parse_completion_request);
    auto request = co_await std::move(parsing);
    if (!request) co_return request.error();
    if (auto served = check_model(generation, request->generation.model); !served) co_return served.error();
    AnswerContext context{make_identity("cmpl-", generation.model.names.front()), request->generation,
                          generation.tokenizer};
    auto encoding = encode(generation, source, request->prompts, request->encoding);
    auto prompts = co_await std::move(encoding);
    if (!prompts) co_return prompts.error();
    auto showing = shown_prompts(generation, source, *request, *prompts);
    auto shown = co_await std::move(showing);
    if (!shown) co_return shown.error();
    context.prompts = *std::move(shown);
    auto admitting = compile_and_admit(generation, source, context.fields, exchange.request().caller,
                                       *std::move(prompts), "prompt");
    auto admitted = co_await std::move(admitting);
    if (!admitted) co_return admitted.error();
    PendingAnswer pending{std::make_unique<CompletionAnswerWriter>(std::move(context), request->echo),
                          *std::move(admitted)};
    co_return pending;
}

}  // namespace

asio::awaitable<void> handle_completions(GenerationService& generation, HttpExchange& exchange) {
    auto pending = co_await begin_completion(generation, exchange);
    co_await send_completion(exchange, std::move(pending), generation);
}

}  // namespace solard::server
