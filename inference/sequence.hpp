// The engine's state of one generation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "inference/block_pool.hpp"
#include "inference/detokenizer.hpp"
#include "inference/request.hpp"
#include "inference/stop_matcher.hpp"

namespace solard {

// Blocks that hold the KV of `num_tokens` tokens.
std::int32_t blocks_for(std::int32_t num_tokens);

// Engine thread only. Takes the memory of its whole life at construction, so that a token allocates nothing.
struct Sequence {
    // `arrival` grows with every request: the order of service, and of preemption from the other end.
    Sequence(Request request, std::uint64_t arrival);

    Request request;                 // its prompt lives in token_ids, its stop strings in stop_matcher
    std::vector<TokenId> token_ids;  // prompt, then what was generated
    std::vector<BlockId> block_table;
    std::uint64_t arrival;
    std::int32_t num_prompt_tokens;
    std::int32_t num_computed_tokens = 0;   // of token_ids, from the front: their KV is in the blocks
    std::int32_t num_scheduled_tokens = 0;  // the next ones, computed by the step in flight
    std::int32_t num_preemptions = 0;
    FinishReason finish = FinishReason::none;
    errc error = errc::server_error;  // meaningful when finish == error

    std::int32_t num_tokens() const { return static_cast<std::int32_t>(token_ids.size()); }
    std::int32_t num_generated_tokens() const { return num_tokens() - num_prompt_tokens; }
    std::int32_t num_uncomputed_tokens() const { return num_tokens() - num_computed_tokens; }
    // Tokens that ever need KV: the last one generated is never fed back.
    std::int32_t max_kv_tokens() const { return num_prompt_tokens + request.max_tokens - 1; }
    // Does the step in flight reach the end of what is known, and so choose the next token?
    bool samples() const {
        return num_scheduled_tokens > 0 && num_computed_tokens + num_scheduled_tokens == num_tokens();
    }

    // The stop rules for the token just appended to token_ids, which adds `bytes` to the text: first
    // end-of-sequence, then stop strings, then length. Appends to `out` the text that may leave now; at an
    // end that is everything held back, except what a stop string cuts off. An end-of-sequence token adds no
    // text.
    FinishReason apply_stop_rules(std::string_view bytes, bool is_end_of_sequence, std::string& out);

  private:
    void flush_text(std::string& out);

    Detokenizer detokenizer_;
    StopMatcher stop_matcher_;
    std::string characters_;  // scratch between the two
};

}  // namespace solard
