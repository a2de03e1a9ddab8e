// The host's side of sampling on the device: what rows need is staged, counts stay there, results come back
// by one copy.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cuda/device.hpp"
#include "cuda/sampling.hpp"
#include "cuda/staging.hpp"
#include "inference/backend.hpp"

namespace solard::cuda {

// In each step: prepare(), the staging's upload, run(), copy_back(); read() once the stream is synchronised.
// All memory is taken at construction.
class DeviceSampler {
  public:
    // `stream`: the one that run() will use.
    DeviceSampler(std::int32_t vocab, std::int32_t max_rows, std::int32_t max_model_len,
                  const Stream& stream);

    // The most that prepare() takes from a Staging.
    std::size_t staging_bytes() const;

    // Rows of one sequence stand together and in order, the first without drafts in its context. Throws
    // std::logic_error for more than max_rows rows, or more than max_logit_biases bans in one.
    void prepare(std::span<const SamplingRow> rows, Staging& staging);
    // logits: [rows, stride] on the device.
    void run(const float* logits, std::int64_t stride, const Stream& stream);
    void copy_back(const Stream& stream);
    // Of the last copy_back(); without rows, empty.
    void read(StepResults& results) const;

    // [rows], on the device: the chosen tokens, valid until the next run().
    const std::int32_t* tokens() const { return tokens_.data(); }

  private:
    // Counts of one sequence on the device, of the front of its context. Never of drafts.
    struct Slot {
        std::uint64_t sequence = 0;
        std::int32_t num_counted = 0;  // tokens; 0: the slot is free
        std::uint64_t last_step = 0;
    };

    std::int32_t slot_of(const SamplingRow& row);
    void count(const SamplingRow& row, std::int32_t slot);

    std::int32_t vocab_;
    std::int32_t max_rows_;
    std::int32_t max_model_len_;
    std::uint64_t step_ = 0;
    std::vector<Slot> slots_;  // [max_rows]

    // What is staged: filled in order, then copied as whole pieces.
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
    // Sampled tokens and, behind them, likeliest tokens, so that one copy brings both.
    DeviceBuffer<std::byte> results_;
    PinnedBuffer<std::byte> host_results_;
};

}  // namespace solard::cuda
