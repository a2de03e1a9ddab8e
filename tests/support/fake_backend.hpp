// A backend whose next token is a keyed hash of the whole visible context, which it reads through the block
// tables. Therefore a wrong, missing or foreign block changes every later token. A doubled or stale token
// also changes every later token.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "inference/backend.hpp"

namespace solard {

// Lets a test control a backend which it has handed to an engine thread. Every member may be called from any
// thread.
class FakeControl {
  public:
    // Makes every later step wait inside the backend until open_gate() or pass_one() is called.
    void close_gate();
    void open_gate();
    // Lets one step pass: the waiting step or, if no step is waiting, the next step. Returns after the step
    // has passed the gate.
    void pass_one();
    // Blocks the caller until a step is waiting at the gate.
    void wait_until_held();

    // Makes collect() of step number `step` throw std::runtime_error. The first step has the number 1.
    void fail_at_step(std::uint64_t step);

    std::uint64_t steps() const;
    // Returns the largest number of tokens in one step so far.
    std::int32_t max_tokens_of_a_step() const;

  private:
    friend class FakeBackend;
    void run_step(std::int32_t num_tokens);

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool gate_closed_ = false;
    bool held_ = false;
    std::uint64_t passes_ = 0;
    std::uint64_t steps_ = 0;
    std::uint64_t fail_at_ = 0;
    std::int32_t max_tokens_ = 0;
};

struct FakeOptions {
    BackendCapacity capacity{
        .num_blocks = 64, .max_tokens_per_step = 512, .max_seqs_per_step = 64, .max_model_len = 512};
    TokenId first_token = 3;  // tokens are drawn from [first_token, vocab_size): no control tokens
    TokenId vocab_size = 1000;
    // Is called for every row. If it returns a token, the row gets this token instead of the one which the
    // backend derives from a hash of the context.
    std::function<std::optional<SampledToken>(std::span<const TokenId> context)> script = {};
};

// Throws a std::logic_error that names the problem if a batch breaks the contract of ForwardBatch.
class FakeBackend final : public Backend {
  public:
    explicit FakeBackend(FakeOptions options, std::shared_ptr<FakeControl> control = {});

    BackendCapacity capacity() const override { return options_.capacity; }
    std::string description() const override { return "fake"; }
    void submit(const ForwardBatch& batch) override;
    void sample(std::span<const std::uint32_t> masks) override;
    void collect(StepResults& results) override;

  private:
    void add_logprobs(const ForwardBatch& batch, StepResults& results);
    void add_scores(const ForwardBatch& batch, StepResults& results);
    void store_tokens(const ForwardBatch& batch);
    void copy_blocks(const ForwardBatch& batch);
    // Reads the tokens up to the token with index `row` in the batch into context_.
    void read_context(const ForwardBatch& batch, std::int32_t row);

    FakeOptions options_;
    std::shared_ptr<FakeControl> control_;
    const ForwardBatch* in_flight_ = nullptr;
    std::vector<std::uint32_t> masks_;  // of the step in flight
    std::vector<TokenId> kv_;           // [num_blocks * kv_block_size], the token whose "KV" a slot holds
    std::vector<TokenId> context_;
};

// Returns the token that follows `context`: if the mask does not have it, the next token that the mask has,
// in the order of ids, beginning again after the last one. A mask without words has every token.
SampledToken fake_next_token(std::span<const TokenId> context, const SamplingRow& row,
                             const FakeOptions& options, std::span<const std::uint32_t> mask = {});
// Returns the log probability of the token `chosen` (place 0) or of its alternative number `place`. The
// alternatives are the token ids after `chosen`.
float fake_logprob(TokenId chosen, std::int32_t place);
// Returns the scores of `token` after `context`, as in StepResults::scores. The likeliest token is the one
// that fake_next_token() returns for the default parameters. The ids after it follow in the ranking, and
// each has the log probability of its place.
std::vector<RankedLogprob> fake_scores(std::span<const TokenId> context, TokenId token,
                                       std::int32_t num_alternatives, const FakeOptions& options);
// Returns the tokens which a serial run must produce: the first `count` tokens after `prompt`.
std::vector<TokenId> fake_reference(std::vector<TokenId> prompt, std::int32_t count,
                                    const FakeOptions& options = {}, const SamplingParams& sampling = {});

}  // namespace solard
