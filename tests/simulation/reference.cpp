#include "tests/simulation/reference.hpp"

#include <algorithm>

#include "inference/text/detokenizer.hpp"

namespace solard {
namespace {

// The stop string that ends first in the text. If several stop strings end at the same place, this is the
// longest of them.
struct Match {
    std::size_t begin = std::string::npos;
    std::size_t end = std::string::npos;
    std::int32_t index = -1;
};

Match first_match(const std::string& text, const std::vector<std::string>& stops) {
    Match best;
    for (std::size_t i = 0; i < stops.size(); ++i) {
        const std::size_t begin = text.find(stops[i]);
        if (begin == std::string::npos) continue;
        const std::size_t end = begin + stops[i].size();
        if (end < best.end || (end == best.end && begin < best.begin)) {
            best = {begin, end, static_cast<std::int32_t>(i)};
        }
    }
    return best;
}

bool contains(const std::vector<TokenId>& tokens, TokenId token) {
    return std::ranges::find(tokens, token) != tokens.end();
}

// Returns whether the logits after a token of the prompt are not finite.
bool has_bad_row(const std::vector<TokenId>& prompt, const FakeOptions& model) {
    for (std::size_t length = 1; length <= prompt.size(); ++length) {
        if (!fake_next_token(std::span(prompt).first(length), {}, model).finite) return true;
    }
    return false;
}

std::vector<RankedLogprob> scores_of(const Request& request, const FakeOptions& model) {
    std::vector<RankedLogprob> all;
    for (std::size_t length = 1; length < request.prompt.size(); ++length) {
        const auto scores = fake_scores(std::span(request.prompt).first(length), request.prompt[length],
                                        request.num_prompt_logprobs, model);
        if (scores.front().rank == 0) break;
        all.insert(all.end(), scores.begin(), scores.end());
    }
    return all;
}

}  // namespace

Expected expected_output(const Request& request, std::uint32_t choice, const FakeOptions& model,
                         const Tokenizer& tokenizer, const std::vector<TokenId>& eos_token_ids) {
    Expected expected;
    if (choice == 0 && request.num_prompt_logprobs >= 0) expected.prompt_logprobs = scores_of(request, model);
    // All choices end if a row of the prompt that was looked at is not finite.
    const bool has_bad_scores = request.num_prompt_logprobs >= 0 && has_bad_row(request.prompt, model);
    const bool has_bad_end = request.max_tokens == 0 && !fake_next_token(request.prompt, {}, model).finite;
    if (has_bad_scores || has_bad_end) {
        expected.finish = FinishReason::error;
        return expected;
    }
    SamplingRow row{.params = request.sampling};
    row.params.choice = choice;
    std::vector<TokenId> context = request.prompt;
    Detokenizer detokenizer;
    std::string watched;  // the text in which stop strings are searched
    for (std::int32_t count = 1; count <= request.max_tokens; ++count) {
        const SampledToken next = fake_next_token(context, row, model);
        if (!next.finite) {
            expected.finish = FinishReason::error;
            break;
        }
        context.push_back(next.token);
        expected.tokens.push_back(next.token);
        const bool is_eos = !request.ignore_eos && contains(eos_token_ids, next.token);
        const bool is_stop_token = contains(request.stop_token_ids, next.token);
        if (count > request.min_tokens && (is_eos || is_stop_token)) {
            if (!is_eos) expected.matched_stop_token = next.token;
            expected.finish = FinishReason::stop;
            break;
        }
        std::string& text = count < request.min_tokens ? expected.text : watched;
        detokenizer.append(tokenizer.bytes_of(next.token), text);
        if (const Match match = first_match(watched, request.stop); match.index >= 0) {
            watched.resize(match.begin);
            expected.matched_stop = match.index;
            expected.finish = FinishReason::stop;
            break;
        }
    }
    // After an error, the text that was held back is not sent.
    if (expected.finish != FinishReason::error && expected.matched_stop < 0) detokenizer.flush(watched);
    expected.text += watched;
    return expected;
}

}  // namespace solard
