// A sequence: the engine's state of one choice of one request.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/request.hpp"
#include "inference/scheduling/block_pool.hpp"
#include "inference/text/detokenizer.hpp"
#include "inference/text/stop_matcher.hpp"

namespace solard {

struct PrincipalShare;
struct Sequence;
using SequencePtr = std::unique_ptr<Sequence>;

// Returns how many blocks hold the KV of `num_tokens` tokens.
std::int32_t blocks_for(std::int32_t num_tokens);

// Only the engine thread may use a sequence. The constructor reserves the memory of all tokens and blocks, so
// that appending a token allocates nothing.
struct Sequence {
    // `arrival` grows with every request. Of sequences with the same principal and priority, the earliest is
    // admitted first and the latest is preempted first. `eos_token_ids` are the end-of-sequence tokens of the
    // model.
    Sequence(Request request, std::uint64_t arrival, std::span<const TokenId> eos_token_ids);

    // The members that every step touches come first, next to each other.

    // The prompt, the generated tokens and, while a step is in flight, the drafts that it verifies.
    std::vector<TokenId> token_ids;
    std::vector<BlockId> block_table;
    std::vector<BlockHash> block_hashes;  // of the first whole blocks; computed only when needed
    std::int32_t num_prompt_tokens;
    std::int32_t num_draft_tokens = 0;
    std::int32_t num_accepted_tokens;        // prompt and generated tokens that went through the stop rules
    std::int32_t num_registered_blocks = 0;  // first blocks of block_table that the prefix cache can find
    std::int32_t num_computed_tokens = 0;    // first tokens of token_ids whose KV is in the blocks
    std::int32_t num_scheduled_tokens = 0;   // tokens that the step in flight computes
    std::int32_t first_row = 0;              // first row in the step in flight, if the sequence samples
    // The first tokens of the prompt whose log-probabilities are reported already, or are not wanted.
    std::int32_t num_scored_tokens;
    std::int32_t first_score = 0;        // index in StepResults::scores of the sequence's scores of this step
    std::int32_t num_scores = 0;         // number of these scores
    std::int32_t num_cached_tokens = 0;  // prompt tokens found in the cache when the sequence first ran
    std::int32_t draft_limit = 4;        // number of drafts to try; adapts to how many were accepted
    std::int32_t num_preemptions = 0;
    BlockId copied_from = -1;    // the block that the step copies, because other sequences refer to it
    bool is_giving_way = false;  // Admission has chosen this sequence for preemption
    bool prefilling = false;     // the sequence runs, and has chosen no token since its admission
    FinishReason finish = FinishReason::none;
    errc error = errc::backend_failed;  // meaningful when finish == error
    std::int32_t matched_stop = -1;     // index of the stop string that ended the text
    TokenId matched_stop_token = -1;
    // How far the answer has come in its grammar, or null if it has none. Covers the accepted tokens.
    std::unique_ptr<GrammarState> grammar;
    // The number of drafts of the step in flight after which the grammar allows no token; -1: there is none.
    std::int32_t dead_end = -1;
    PrincipalShare* principal = nullptr;  // is charged for the sequence's slots and blocks
    std::uint64_t arrival;
    // The other choices of the request, until the prompt is computed. After that, they run as sequences of
    // their own.
    std::vector<SequencePtr> forks;
    ProgressEvent progress{.done = -1};  // the last progress that was published
    Request request;  // without its prompt (see token_ids) and its stop strings (see stop_matcher_)

    std::uint32_t choice() const { return request.sampling.choice; }
    std::int32_t num_tokens() const { return static_cast<std::int32_t>(token_ids.size()) - num_draft_tokens; }
    std::int32_t num_generated_tokens() const { return num_accepted_tokens - num_prompt_tokens; }
    std::int32_t num_uncomputed_tokens() const { return num_tokens() - num_computed_tokens; }
    std::int32_t num_unscheduled_tokens() const { return num_uncomputed_tokens() - num_scheduled_tokens; }
    // Returns how many tokens may ever need KV. The last generated token needs no KV, because it is never fed
    // back to the model.
    std::int32_t max_kv_tokens() const { return num_prompt_tokens + std::max(request.max_tokens - 1, 0); }
    // Returns true if log-probabilities of prompt tokens are wanted that are not reported yet.
    bool scores_prompt() const { return num_scored_tokens < num_prompt_tokens; }
    // Returns how many slots the sequence and its other choices take when they run.
    std::int32_t num_slots() const { return 1 + static_cast<std::int32_t>(forks.size()); }
    // Returns true if the step in flight computes the last known token, and therefore chooses the next token.
    bool samples() const {
        return num_scheduled_tokens > 0 && num_computed_tokens + num_scheduled_tokens >= num_tokens();
    }
    // Returns the tokens that must not be chosen next if `num_generated` tokens have been generated, because
    // they would end the answer before min_tokens, or in spite of ignore_eos.
    std::span<const TokenId> banned_tokens(std::int32_t num_generated) const;

    // Applies the stop rules to the first token of token_ids that is not accepted yet. `bytes` is the text of
    // that token. The rules are applied in this order: the end of the grammar, end tokens, stop strings,
    // length. Appends to `out` the text that may be sent now. When the answer ends, this includes the text
    // that was held back, except what a stop string cuts off. An end token adds no text. As long as the
    // answer has fewer than min_tokens tokens, only the grammar and the length can end it, and its text is
    // not searched for stop strings. If the grammar does not allow the token,
    // sets `error` and returns FinishReason::error.
    FinishReason accept_token(std::string_view bytes, std::string& out);

  private:
    bool accepted_by_grammar(TokenId token);
    bool is_end(TokenId token);
    void flush_text(std::string& out);
    void note_matched_stop();

    std::vector<TokenId> end_tokens_;  // end-of-sequence tokens (unless ignored), then stop_token_ids
    // With ignore_eos, an answer with a grammar ends only where nothing else is allowed.
    std::vector<TokenId> always_banned_;
    std::vector<TokenId> early_banned_;  // before min_tokens; empty: end_tokens_
    std::size_t num_eos_tokens_ = 0;     // number of end-of-sequence tokens at the front of end_tokens_
    Detokenizer detokenizer_;
    StopMatcher stop_matcher_;
    std::string characters_;  // text between detokenizer and stop matcher; kept to reuse its memory
};

// Compares by arrival. The order is total, because the choices of one request are ordered by number.
inline bool arrived_before(const Sequence& a, const Sequence& b) {
    return a.arrival != b.arrival ? a.arrival < b.arrival : a.choice() < b.choice();
}

}  // namespace solard
