#include "inference/scheduling/sequence.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "inference/backend.hpp"
#include "inference/sizes.hpp"

namespace solard {

std::int32_t blocks_for(std::int32_t num_tokens) {
    return divide_up(num_tokens, kv_block_size);
}

Sequence::Sequence(Request r, std::uint64_t arrival_number, std::span<const TokenId> eos_token_ids)
    : token_ids(std::move(r.prompt)),
      num_prompt_tokens(static_cast<std::int32_t>(token_ids.size())),
      num_accepted_tokens(num_prompt_tokens),
      num_scored_tokens(r.num_prompt_logprobs >= 0 ? 1 : num_prompt_tokens),
      grammar(r.grammar ? r.grammar->begin() : nullptr),
      arrival(arrival_number),
      request(std::move(r)),
      stop_matcher_(std::move(request.stop), std::move(request.unsearched)) {
    const auto blocks = count_of(blocks_for(max_kv_tokens()));
    token_ids.reserve(token_ids.size() + count_of(request.max_tokens));
    block_table.reserve(blocks);
    block_hashes.reserve(blocks);
    characters_.reserve(64);
    if (!request.ignore_eos) end_tokens_.assign(eos_token_ids.begin(), eos_token_ids.end());
    num_eos_tokens_ = end_tokens_.size();
    end_tokens_.insert(end_tokens_.end(), request.stop_token_ids.begin(), request.stop_token_ids.end());
    if (grammar && request.ignore_eos) {
        always_banned_.assign(eos_token_ids.begin(), eos_token_ids.end());
        early_banned_ = end_tokens_;
        early_banned_.insert(early_banned_.end(), eos_token_ids.begin(), eos_token_ids.end());
    }
}

std::span<const TokenId> Sequence::banned_tokens(std::int32_t num_generated) const {
    if (num_generated >= request.min_tokens) return always_banned_;
    return early_banned_.empty() ? end_tokens_ : early_banned_;
}

FinishReason Sequence::accept_token(std::string_view bytes, std::string& out) {
    const TokenId token = token_ids[count_of(num_accepted_tokens++)];
    if (grammar && !accepted_by_grammar(token)) {
        flush_text(out);
        error = errc::grammar_dead_end;
        return FinishReason::error;
    }
    const bool grammar_has_ended = grammar && grammar->has_ended();
    if (grammar_has_ended || (num_generated_tokens() > request.min_tokens && is_end(token))) {
        flush_text(out);
        return FinishReason::stop;
    }
    characters_.clear();
    detokenizer_.append(bytes, characters_);
    if (num_generated_tokens() < request.min_tokens) {
        stop_matcher_.pass(characters_, out);
    } else if (stop_matcher_.append(characters_, out)) {
        note_matched_stop();
        return FinishReason::stop;
    }
    if (num_generated_tokens() < request.max_tokens) return FinishReason::none;
    flush_text(out);
    return matched_stop >= 0 ? FinishReason::stop : FinishReason::length;
}

// The mask has allowed the token. A fault of the library, which decides both, must end this sequence only.
bool Sequence::accepted_by_grammar(TokenId token) {
    try {
        return grammar->accept(token);
    } catch (const std::exception&) {
        return false;
    }
}

bool Sequence::is_end(TokenId token) {
    const auto found = std::ranges::find(end_tokens_, token);
    if (found == end_tokens_.end()) return false;
    if (std::cmp_less(found - end_tokens_.begin(), num_eos_tokens_)) return true;
    if (stop_matcher_.is_unsearched()) return false;
    matched_stop_token = token;
    return true;
}

void Sequence::flush_text(std::string& out) {
    characters_.clear();
    detokenizer_.flush(characters_);
    if (!stop_matcher_.append(characters_, out)) stop_matcher_.flush(out);
    note_matched_stop();
}

void Sequence::note_matched_stop() {
    if (const auto matched = stop_matcher_.matched()) matched_stop = static_cast<std::int32_t>(*matched);
}

}  // namespace solard
