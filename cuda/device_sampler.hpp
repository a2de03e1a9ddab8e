// The host's part of sampling on the device. It stages the inputs of the rows, and copies all results back in
// one copy. Token counts stay on the device from step to step.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cuda/device.hpp"
#include "cuda/sampling.hpp"
#include "cuda/staging.hpp"
#include "inference/backend.hpp"

namespace solard::cuda {

// In each step, call prepare(), the staging's upload(), copy_masks() if a row has a mask, run() and
// copy_back(), in this order. Call read() after the stream has been synchronised. The constructor allocates
// all memory.
class DeviceSampler {
  public:
    // `stream` is the stream that run() will use.
    DeviceSampler(std::int32_t vocab, std::int32_t max_rows, std::int32_t max_model_len,
                  const Stream& stream);

    // Returns the largest number of bytes that prepare() takes from a Staging.
    std::size_t staging_bytes() const;

    // Stages the rows. The rows of one sequence must be adjacent and in order, and the context of its first
    // row must not contain drafts. Throws std::logic_error if there are more than max_rows rows, or if a row
    // has more biases or bans than max_logit_biases, or a context longer than max_model_len.
    void prepare(std::span<const SamplingRow> rows, Staging& staging);
    // Enqueues the copy of the masks of the rows that have one, [rows, mask_words(vocab)].
    void copy_masks(std::span<const std::uint32_t> masks, const Stream& stream);
    // Enqueues the kernels. `logits` is [rows, stride] on the device.
    void run(const float* logits, std::int64_t stride, const Stream& stream);
    void copy_back(const Stream& stream);
    // Writes the results of the last copy_back() to `results`. If the step has no rows, the lists in
    // `results` become empty.
    void read(StepResults& results) const;

    // Returns the chosen tokens, [rows] on the device, valid until the next run().
    const std::int32_t* tokens() const { return tokens_.data(); }

  private:
    // Describes one row of counts_, which counts the tokens of `sequence`. The counts cover the first
    // num_counted tokens of the sequence's context, but no drafts.
    struct Slot {
        std::uint64_t sequence = 0;
        std::int32_t num_counted = 0;  // 0: the slot is free
        std::uint64_t last_step = 0;
    };

    std::int32_t slot_of(const SamplingRow& row);
    void count(const SamplingRow& row, std::int32_t slot);

    std::int32_t vocab_;
    std::int32_t max_rows_;
    std::int32_t max_model_len_;
    std::uint64_t step_ = 0;
    std::vector<Slot> slots_;  // [max_rows]

    // The lists that are staged. Each is filled row by row and then copied as one piece.
    std::vector<SampleRow> rows_;
    std::vector<LogitBias> biases_;
    std::vector<std::int32_t> bans_;
    std::vector<std::int32_t> drafts_;
    std::vector<CountUpdate> updates_;
    std::vector<std::int32_t> counted_tokens_;
    bool wants_top_ = false;
    SampleArgs sample_args_{};
    UpdateCountsArgs update_args_{};

    DeviceBuffer<TokenCount> counts_;    // [max_rows, vocab]
    DeviceBuffer<float> changed_;        // [max_rows, vocab]
    DeviceBuffer<std::int32_t> tokens_;  // [max_rows]
    DeviceBuffer<std::uint32_t> masks_;  // [max_rows, mask_words(vocab)]
    PinnedBuffer<std::uint32_t> host_masks_;
    // The sampled tokens and, after them, the most likely tokens. One copy brings both to the host.
    DeviceBuffer<std::byte> results_;
    PinnedBuffer<std::byte> host_results_;
};

}  // namespace solard::cuda
