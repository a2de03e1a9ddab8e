#include "cuda/device_sampler.hpp"

#include <algorithm>
#include <stdexcept>

#include "inference/sizes.hpp"
#include "inference/token_mask.hpp"

namespace solard::cuda {
namespace {

std::int32_t length_of(const auto& list) {
    return static_cast<std::int32_t>(list.size());
}

// Returns how many bytes at the front of results_ are reserved for the sampled tokens.
std::size_t sampled_bytes(std::int32_t rows) {
    constexpr std::size_t alignment = 16;
    return round_up(count_of(rows) * sizeof(SampledToken), alignment);
}

std::size_t top_bytes(std::int32_t rows) {
    return count_of(rows) * static_cast<std::size_t>(max_top_logprobs) * sizeof(TokenLogprob);
}

}  // namespace

DeviceSampler::DeviceSampler(std::int32_t vocab, std::int32_t max_rows, std::int32_t max_model_len,
                             const Stream& stream)
    : vocab_(vocab),
      max_rows_(max_rows),
      max_model_len_(max_model_len),
      slots_(count_of(max_rows)),
      counts_(count_of(max_rows) * count_of(vocab)),
      changed_(count_of(max_rows) * count_of(vocab)),
      tokens_(count_of(max_rows)),
      masks_(count_of(max_rows) * mask_words(vocab)),
      host_masks_(count_of(max_rows) * mask_words(vocab)),
      results_(sampled_bytes(max_rows) + top_bytes(max_rows)),
      host_results_(sampled_bytes(max_rows) + top_bytes(max_rows)) {
    const std::size_t rows = count_of(max_rows);
    const std::size_t contexts = rows * count_of(max_model_len);
    rows_.reserve(rows);
    biases_.reserve(rows * max_logit_biases);
    bans_.reserve(rows * max_logit_biases);
    drafts_.reserve(rows * rows);
    updates_.reserve(rows);
    counted_tokens_.reserve(contexts);
    // Each row has a place for its most likely tokens. If any row asks for these tokens, copy_back() copies
    // the places of all rows, so all of them must be initialised.
    check(cudaMemsetAsync(results_.data(), 0, results_.size(), stream.get()));
}

std::size_t DeviceSampler::staging_bytes() const {
    constexpr std::size_t num_pieces = 6;
    return rows_.capacity() * sizeof(SampleRow) + biases_.capacity() * sizeof(LogitBias) +
           (bans_.capacity() + drafts_.capacity() + counted_tokens_.capacity()) * sizeof(std::int32_t) +
           updates_.capacity() * sizeof(CountUpdate) + num_pieces * 16;
}

// Returns the slot of the row's sequence. If the sequence has no slot, it gets the slot that was used least
// recently. There are as many slots as a step can have sequences, so no sequence of this step loses its slot.
std::int32_t DeviceSampler::slot_of(const SamplingRow& row) {
    auto chosen = std::ranges::find_if(
        slots_, [&](const Slot& slot) { return slot.num_counted > 0 && slot.sequence == row.sequence; });
    // If more tokens were counted than the context has, the counts are not those of this context. They are
    // discarded.
    if (chosen == slots_.end() || chosen->num_counted > length_of(row.context)) {
        if (chosen == slots_.end()) chosen = std::ranges::min_element(slots_, {}, &Slot::last_step);
        *chosen = {.sequence = row.sequence};
    }
    chosen->last_step = step_;
    return static_cast<std::int32_t>(chosen - slots_.begin());
}

// Stages the tokens that the slot has not counted yet, so that its counts cover the whole context of the row.
// This context must not contain drafts.
void DeviceSampler::count(const SamplingRow& row, std::int32_t index) {
    Slot& slot = slots_[count_of(index)];
    const std::int32_t known = slot.num_counted;
    const auto fresh = row.context.subspan(count_of(known));
    if (fresh.empty() && known > 0) return;
    updates_.push_back({.slot = index,
                        .reset = known == 0 ? 1 : 0,
                        .first_token = length_of(counted_tokens_),
                        .num_tokens = length_of(fresh),
                        .num_prompt_tokens = std::max(row.num_prompt_tokens - known, 0)});
    counted_tokens_.insert(counted_tokens_.end(), fresh.begin(), fresh.end());
    slot.num_counted = length_of(row.context);
}

void DeviceSampler::prepare(std::span<const SamplingRow> rows, Staging& staging) {
    if (length_of(rows) > max_rows_)
        throw std::logic_error("there are more rows than the sampler has room for");
    ++step_;
    rows_.clear();
    biases_.clear();
    bans_.clear();
    drafts_.clear();
    updates_.clear();
    counted_tokens_.clear();
    wants_top_ = false;
    std::int32_t slot = -1;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const SamplingRow& row = rows[i];
        if (row.banned.size() > max_logit_biases || row.logit_bias.size() > max_logit_biases ||
            length_of(row.context) > max_model_len_) {
            throw std::logic_error(
                "a row has more biases, more bans or a longer context than the sampler has room for");
        }
        const bool first_of_sequence = i == 0 || rows[i - 1].sequence != row.sequence;
        SampleRow staged{.params = row.params,
                         .position = row.position,
                         .first_bias = length_of(biases_),
                         .num_biases = length_of(row.logit_bias),
                         .first_ban = length_of(bans_),
                         .num_bans = length_of(row.banned),
                         .mask = row.mask};
        biases_.insert(biases_.end(), row.logit_bias.begin(), row.logit_bias.end());
        bans_.insert(bans_.end(), row.banned.begin(), row.banned.end());
        if (row.params.has_penalties()) {
            if (first_of_sequence) {
                slot = slot_of(row);
                count(row, slot);
            }
            const auto drafts = row.context.subspan(count_of(slots_[count_of(slot)].num_counted));
            staged.slot = slot;
            staged.first_draft = length_of(drafts_);
            staged.num_drafts = length_of(drafts);
            drafts_.insert(drafts_.end(), drafts.begin(), drafts.end());
        }
        wants_top_ = wants_top_ || row.params.num_logprobs >= 0;
        rows_.push_back(staged);
    }
    const auto put = [&]<class T>(const std::vector<T>& values) {
        return staging.on_device(staging.copy(std::span<const T>(values)));
    };
    update_args_ = {.counts = counts_.data(),
                    .updates = put(updates_),
                    .tokens = put(counted_tokens_),
                    .num_updates = length_of(updates_),
                    .vocab = vocab_};
    sample_args_ = {.logits = nullptr,
                    .changed = changed_.data(),
                    .rows = put(rows_),
                    .biases = put(biases_),
                    .bans = put(bans_),
                    .drafts = put(drafts_),
                    .masks = masks_.data(),
                    .counts = counts_.data(),
                    .sampled = reinterpret_cast<SampledToken*>(results_.data()),
                    .top = reinterpret_cast<TokenLogprob*>(results_.data() + sampled_bytes(max_rows_)),
                    .tokens = tokens_.data(),
                    .stride = 0,
                    .num_rows = length_of(rows_),
                    .vocab = vocab_};
}

// The last step's copy has ended, because a step begins after the step before it was collected.
void DeviceSampler::copy_masks(std::span<const std::uint32_t> masks, const Stream& stream) {
    std::ranges::copy(masks, host_masks_.data());
    check(cudaMemcpyAsync(masks_.data(), host_masks_.data(), masks.size_bytes(), cudaMemcpyHostToDevice,
                          stream.get()));
}

void DeviceSampler::run(const float* logits, std::int64_t stride, const Stream& stream) {
    sample_args_.logits = logits;
    sample_args_.stride = stride;
    update_counts(update_args_, stream.get());
    sample(sample_args_, stream.get());
}

void DeviceSampler::copy_back(const Stream& stream) {
    const std::size_t bytes = wants_top_ ? sampled_bytes(max_rows_) + top_bytes(length_of(rows_))
                                         : count_of(length_of(rows_)) * sizeof(SampledToken);
    check(
        cudaMemcpyAsync(host_results_.data(), results_.data(), bytes, cudaMemcpyDeviceToHost, stream.get()));
}

void DeviceSampler::read(StepResults& results) const {
    constexpr auto width = static_cast<std::size_t>(max_top_logprobs);
    // Reserves the maximum, so that a later, larger step allocates nothing.
    results.rows.reserve(count_of(max_rows_));
    results.top_logprobs.reserve(count_of(max_rows_) * width);
    const auto* const sampled = reinterpret_cast<const SampledToken*>(host_results_.data());
    const auto* const top =
        reinterpret_cast<const TokenLogprob*>(host_results_.data() + sampled_bytes(max_rows_));
    results.rows.assign(sampled, sampled + rows_.size());
    results.top_logprobs.assign(top, top + (wants_top_ ? rows_.size() * width : 0));
}

}  // namespace solard::cuda
