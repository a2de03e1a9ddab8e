#include "inference/scheduling/step_masks.hpp"

#include <algorithm>
#include <exception>

#include "inference/sizes.hpp"
#include "inference/token_mask.hpp"

namespace solard {
namespace {

constexpr std::uint32_t all_tokens = ~std::uint32_t{0};

bool is_empty(std::span<const std::uint32_t> mask) {
    return std::ranges::all_of(mask, [](std::uint32_t word) { return word == 0; });
}

void allow_only(std::span<std::uint32_t> mask, TokenId token) {
    std::ranges::fill(mask, 0);
    mask[count_of(token) / mask_word_bits] = std::uint32_t{1} << (count_of(token) % mask_word_bits);
}

// Writes the masks of a sequence's rows, [1 + num_draft_tokens, words], all of which have every token before
// the call. Rows keep that if their results are not used: the draft before them is refused, or it ends the
// answer.
void fill_rows(Sequence& sequence, std::size_t words, std::span<std::uint32_t> masks) {
    GrammarState& grammar = *sequence.grammar;
    sequence.dead_end = -1;
    std::int32_t num_accepted = 0;
    try {
        while (!grammar.has_ended()) {
            const auto mask = masks.subspan(count_of(num_accepted) * words, words);
            grammar.fill_mask(mask);
            if (is_empty(mask)) {
                sequence.dead_end = num_accepted;
                std::ranges::fill(mask, all_tokens);
                break;
            }
            if (const auto forced = grammar.forced_token(); forced && is_allowed(mask, *forced))
                allow_only(mask, *forced);
            if (num_accepted == sequence.num_draft_tokens) break;
            const TokenId draft = sequence.token_ids[count_of(sequence.num_tokens() + num_accepted)];
            if (!is_allowed(mask, draft) || !grammar.accept(draft)) break;
            ++num_accepted;
        }
        grammar.roll_back(num_accepted);
    } catch (const std::exception&) {
        // A fault of the library must end this request only.
        sequence.dead_end = 0;
        std::ranges::fill(masks, all_tokens);
    }
}

}  // namespace

void fill_masks(std::span<Sequence* const> scheduled, std::vector<std::uint32_t>& masks) {
    masks.clear();
    for (Sequence* const sequence : scheduled) {
        if (!sequence->grammar || !sequence->samples()) continue;
        const std::size_t words = mask_words(sequence->request.grammar->vocab_size());
        const std::size_t begin = masks.size();
        masks.resize(begin + count_of(1 + sequence->num_draft_tokens) * words, all_tokens);
        fill_rows(*sequence, words, std::span(masks).subspan(begin));
        // The other choices begin as this one does.
        for (std::size_t fork = 0; fork < sequence->forks.size(); ++fork) {
            masks.resize(masks.size() + words);
            std::copy_n(masks.begin() + static_cast<std::ptrdiff_t>(begin), words,
                        masks.end() - static_cast<std::ptrdiff_t>(words));
        }
    }
}

}  // namespace solard
