#include "inference/sequence.hpp"

#include <utility>

#include "inference/backend.hpp"

namespace solard {

std::int32_t blocks_for(std::int32_t num_tokens) {
    return (num_tokens + kv_block_size - 1) / kv_block_size;
}

Sequence::Sequence(Request r, std::uint64_t arrival_number)
    : request(std::move(r)),
      token_ids(std::move(request.prompt)),
      arrival(arrival_number),
      num_prompt_tokens(num_tokens()),
      stop_matcher_(std::move(request.stop)) {
    token_ids.reserve(token_ids.size() + static_cast<std::size_t>(request.max_tokens));
    block_table.reserve(static_cast<std::size_t>(blocks_for(max_kv_tokens())));
    characters_.reserve(64);
}

FinishReason Sequence::apply_stop_rules(std::string_view bytes, bool is_end_of_sequence, std::string& out) {
    if (is_end_of_sequence) {
        flush_text(out);
        return FinishReason::stop;
    }
    characters_.clear();
    detokenizer_.append(bytes, characters_);
    if (stop_matcher_.append(characters_, out)) return FinishReason::stop;
    if (num_generated_tokens() < request.max_tokens) return FinishReason::none;
    flush_text(out);
    return FinishReason::length;
}

void Sequence::flush_text(std::string& out) {
    characters_.clear();
    detokenizer_.flush(characters_);
    if (!stop_matcher_.append(characters_, out)) stop_matcher_.flush(out);
}

}  // namespace solard
