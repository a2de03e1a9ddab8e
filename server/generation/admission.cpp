#include "server/generation/admission.hpp"

#include <algorithm>
#include <numeric>

#include "inference/text/utf8.hpp"
#include "server/app.hpp"
#include "server/generation/worker_thread.hpp"

namespace solard::server {
namespace {

namespace asio = boost::asio;

constexpr std::size_t encode_inline_bytes = 8 << 10;  // about a millisecond of the loop
constexpr std::size_t max_helper_jobs = 256;          // prompts that wait to be encoded
constexpr std::size_t max_model_name_shown = 200;     // bytes

std::string maximum_context(const App& app) {
    return "This model's maximum context length is " + std::to_string(app.model.context_length) + " tokens";
}

// What fits into the context and the KV pool beside the prompt; or why the request does not.
result<std::int32_t> token_budget(const App& app, std::size_t prompt_tokens,
                                  std::optional<std::int32_t> asked, std::string_view field) {
    const auto context = std::int64_t{app.model.context_length};
    const auto prompt = static_cast<std::int64_t>(prompt_tokens);
    if (prompt >= context)
        return Error{errc::context_length_exceeded,
                     maximum_context(app) + ", but the prompt has " + std::to_string(prompt) +
                         " tokens; shorten it to at most " + std::to_string(context - 1) + ".",
                     std::string(field)};
    if (asked && prompt + *asked > context)
        return Error{errc::context_length_exceeded,
                     maximum_context(app) + ", but the request asks for " + std::to_string(prompt + *asked) +
                         " (" + std::to_string(prompt) + " in the prompt, " + std::to_string(*asked) +
                         " in max_tokens); max_tokens can be at most " + std::to_string(context - prompt) +
                         ".",
                     "max_tokens"};
    const auto pool = app.engine.capacity_tokens();
    const auto room = pool > prompt ? std::min(context, pool) - prompt : context - prompt;
    return asked.value_or(static_cast<std::int32_t>(room));
}

result<void> check_text_size(const App& app, std::size_t num_bytes, std::string_view field) {
    const std::size_t longest = app.tokenizer.longest_piece_bytes();
    if (num_bytes <= static_cast<std::size_t>(app.model.context_length) * longest) return {};
    return Error{errc::context_length_exceeded,
                 maximum_context(app) + ", but the prompt has " + std::to_string(num_bytes) +
                     " bytes and at least " + std::to_string(num_bytes / longest) + " tokens.",
                 std::string(field)};
}

// Of the principal's own, or of one of the parts it divides its prompts into.
std::uint64_t cache_salt(const App& app, const Caller& caller, const std::string& wanted) {
    const std::uint64_t own = caller.key ? app.key_states[*caller.key].cache_salt : app.anonymous_cache_salt;
    if (wanted.empty()) return own;
    std::vector<std::uint64_t> words{own, wanted.size()};
    for (std::size_t i = 0; i < wanted.size(); i += 8) {
        std::uint64_t word = 0;
        for (const char c : std::string_view(wanted).substr(i, 8))
            word = word << 8 | static_cast<unsigned char>(c);
        words.push_back(word);
    }
    return siphash_128(app.hash_key, words).low;
}

}  // namespace

result<void> check_model(const App& app, const std::string& name) {
    if (app.model.answers_to(name)) return {};
    return Error{errc::model_not_found,
                 "The model '" + valid_utf8(std::string_view(name).substr(0, max_model_name_shown)) +
                     "' is not served here.",
                 "model"};
}

asio::awaitable<result<std::vector<std::vector<TokenId>>>> encode_prompts(App& app,
                                                                          std::vector<std::string> texts,
                                                                          std::string_view field) {
    std::size_t num_bytes = 0;
    for (const auto& text : texts) {
        if (auto fits = check_text_size(app, text.size(), field); !fits) co_return fits.error();
        num_bytes += text.size();
    }
    const bool is_short = num_bytes <= encode_inline_bytes;
    if (!is_short && app.num_helper_jobs >= max_helper_jobs)
        co_return Error{errc::server_overloaded, "Too many long prompts are being read; try again later."};
    auto encoding = run_on_helper(app, is_short, [&tokenizer = app.tokenizer, texts = std::move(texts)] {
        std::vector<std::vector<TokenId>> prompts;
        prompts.reserve(texts.size());
        for (const auto& text : texts) prompts.push_back(tokenizer.encode_prompt(text));
        return prompts;
    });
    co_return co_await std::move(encoding);
}

asio::awaitable<result<std::vector<TokenId>>> encode_prompt(App& app, std::string text,
                                                            std::string_view field) {
    std::vector<std::string> texts;
    texts.push_back(std::move(text));
    auto encoding = encode_prompts(app, std::move(texts), field);
    auto prompts = co_await std::move(encoding);
    if (!prompts) co_return prompts.error();
    co_return std::move(prompts->front());
}

Admitted::~Admitted() {
    if (generation_) ticket_.charge(generation_.log().num_tokens());
}

result<Admitted> admit(App& app, const GenerationFields& fields, const Caller& caller,
                       std::vector<std::vector<TokenId>> prompts, std::string_view field) {
    SamplingContext context{.vocab_size = app.model.config.vocab_size,
                            .max_choices = max_choices_together(app),
                            .temperature = app.model.config.default_temperature.value_or(1.0),
                            .top_p = app.model.config.default_top_p.value_or(1.0)};
    const auto now = Clock::now();
    std::size_t prompt_tokens = 0;
    std::int32_t most_tokens = 0;
    std::vector<Request> requests;
    for (auto& prompt : prompts) {
        const auto max_tokens = token_budget(app, prompt.size(), fields.max_tokens, field);
        if (!max_tokens) return max_tokens.error();
        // Each prompt's own, where the request names none; a number that JavaScript can hold.
        context.seed = random_bits() >> 11;
        auto request = make_request(fields.sampling, context, *max_tokens);
        if (!request) return request.error();
        prompt_tokens += prompt.size();
        most_tokens = std::max(most_tokens, *max_tokens);
        request->prompt = std::move(prompt);
        request->principal.id = caller.principal;
        request->cache_salt = cache_salt(app, caller, fields.cache_salt);
        request->queue_deadline = now + app.config.queue_timeout;
        request->request_deadline = now + app.config.request_timeout;
        requests.push_back(*std::move(request));
    }
    auto ticket = caller.key ? app.key_states[*caller.key].quota.admit(now)
                             : result<Quota::Ticket>(Quota::Ticket(nullptr));
    if (!ticket) return ticket.error();
    const std::uint64_t seed = requests.front().sampling.seed;
    auto generation = app.engine.submit(std::move(requests), fields.return_token_ids);
    if (!generation) return generation.error();
    ticket->charge(prompt_tokens);
    return Admitted(*std::move(generation), *std::move(ticket), prompt_tokens, most_tokens, seed);
}

std::int32_t max_choices_together(const App& app) {
    const auto most = static_cast<std::int32_t>(max_choices);
    const auto& info = app.engine.info();  // absent while starting
    return info ? std::min(most, info->max_running) : most;
}

}  // namespace solard::server
