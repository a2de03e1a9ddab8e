#include "tests/support/fake_backend.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "inference/sizes.hpp"
#include "inference/token_mask.hpp"

namespace solard {
namespace {

void require(bool condition, const char* what) {
    if (!condition) throw std::logic_error(std::string("ForwardBatch: ") + what);
}

// splitmix64's finalizer (Steele, Lea, Flood, OOPSLA 2014) over a running state.
std::uint64_t mix(std::uint64_t state, std::uint64_t value) {
    std::uint64_t z = state + 0x9E3779B97F4A7C15U + value;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
}

void check_shapes(const ForwardBatch& batch, const BackendCapacity& capacity) {
    const auto tokens = batch.token_ids.size();
    const auto seqs = batch.context_lens.size();
    require(tokens > 0 && std::cmp_less_equal(tokens, capacity.max_tokens_per_step),
            "too many tokens or none");
    require(seqs > 0 && std::cmp_less_equal(seqs, capacity.max_seqs_per_step), "too many sequences or none");
    require(batch.positions.size() == tokens && batch.slot_mapping.size() == tokens, "size of positions");
    require(batch.cu_seqlens_q.size() == seqs + 1 && batch.cu_seqlens_q.front() == 0 &&
                batch.cu_seqlens_q.back() == batch.num_tokens(),
            "cu_seqlens_q");
    require(batch.block_tables.size() == seqs * static_cast<std::size_t>(batch.block_table_stride),
            "size of block_tables");
    require(batch.logits_rows.size() == batch.sampling.size(), "logits_rows and sampling differ in size");
    require(std::cmp_less_equal(batch.logits_rows.size(), capacity.max_seqs_per_step), "too many rows");
    require(std::ranges::is_sorted(batch.logits_rows), "logits_rows");
    require(batch.scored_tokens.size() <= tokens, "more scored tokens than tokens");
}

void check_copies(std::span<const BlockCopy> copies) {
    for (std::size_t i = 0; i < copies.size(); ++i) {
        for (std::size_t j = 0; j < copies.size(); ++j) {
            require(copies[i].destination != copies[j].source, "a destination of a copy is a source");
            require(i == j || copies[i].destination != copies[j].destination, "two copies to one block");
        }
    }
}

}  // namespace

void FakeControl::close_gate() {
    const std::lock_guard lock(mutex_);
    gate_closed_ = true;
    passes_ = 0;
}

void FakeControl::open_gate() {
    const std::lock_guard lock(mutex_);
    gate_closed_ = false;
    changed_.notify_all();
}

void FakeControl::pass_one() {
    std::unique_lock lock(mutex_);
    ++passes_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return passes_ == 0; });
}

void FakeControl::wait_until_held() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return held_; });
}

void FakeControl::fail_at_step(std::uint64_t step) {
    const std::lock_guard lock(mutex_);
    fail_at_ = step;
}

std::uint64_t FakeControl::steps() const {
    const std::lock_guard lock(mutex_);
    return steps_;
}

std::int32_t FakeControl::max_tokens_of_a_step() const {
    const std::lock_guard lock(mutex_);
    return max_tokens_;
}

void FakeControl::run_step(std::int32_t num_tokens) {
    std::unique_lock lock(mutex_);
    held_ = gate_closed_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !gate_closed_ || passes_ > 0; });
    held_ = false;
    if (passes_ > 0) --passes_;
    changed_.notify_all();
    max_tokens_ = std::max(max_tokens_, num_tokens);
    if (++steps_ == fail_at_) throw std::runtime_error("the fake device was lost");
}

FakeBackend::FakeBackend(FakeOptions options, std::shared_ptr<FakeControl> control)
    : options_(std::move(options)),
      control_(control ? std::move(control) : std::make_shared<FakeControl>()),
      kv_(static_cast<std::size_t>(options_.capacity.num_blocks * kv_block_size), -1) {}

void FakeBackend::submit(const ForwardBatch& batch) {
    require(in_flight_ == nullptr, "submitted while a step is in flight");
    check_shapes(batch, options_.capacity);
    in_flight_ = &batch;
    masks_.clear();
}

void FakeBackend::sample(std::span<const std::uint32_t> masks) {
    require(in_flight_ != nullptr && in_flight_->num_masks > 0 && masks_.empty(), "no step waits for masks");
    check_masks(*in_flight_, masks, options_.vocab_size);
    masks_.assign(masks.begin(), masks.end());
}

// collect(), and not submit(), reads the batch and writes the KV: a real device, too, may read and write as
// late as at the end of the step.
void FakeBackend::collect(StepResults& results) {
    require(in_flight_ != nullptr, "nothing in flight");
    const ForwardBatch& batch = *std::exchange(in_flight_, nullptr);
    const std::size_t words = mask_words(options_.vocab_size);
    require(masks_.size() == words * count_of(batch.num_masks), "the step has not got its masks");
    control_->run_step(batch.num_tokens());
    progress_.fetch_add(1, std::memory_order_relaxed);
    copy_blocks(batch);
    store_tokens(batch);

    results.rows.clear();
    for (std::size_t row = 0; row < batch.logits_rows.size(); ++row) {
        read_context(batch, batch.logits_rows[row]);
        const SamplingRow& sampling = batch.sampling[row];
        require(std::cmp_equal(sampling.position, context_.size()), "position of a sampling row");
        require(sampling.context.empty() || std::ranges::equal(sampling.context, context_),
                "the context of a sampling row is not what the blocks hold");
        std::span<const std::uint32_t> mask;
        if (sampling.mask >= 0) mask = std::span(masks_).subspan(count_of(sampling.mask) * words, words);
        results.rows.push_back(fake_next_token(context_, sampling, options_, mask));
    }
    add_logprobs(batch, results);
    add_scores(batch, results);
}

void FakeBackend::add_scores(const ForwardBatch& batch, StepResults& results) {
    results.scores.clear();
    std::int32_t last_row = -1;
    for (const ScoredToken& scored : batch.scored_tokens) {
        require(scored.row > std::exchange(last_row, scored.row) && scored.row < batch.num_tokens(),
                "the row of a scored token");
        require(std::cmp_equal(scored.first_score, results.scores.size()), "first_score");
        read_context(batch, scored.row);
        const auto scores = fake_scores(context_, scored.token, scored.num_alternatives, options_);
        results.scores.insert(results.scores.end(), scores.begin(), scores.end());
    }
    require(std::cmp_equal(batch.num_scores(), results.scores.size()), "num_scores");
}

void FakeBackend::add_logprobs(const ForwardBatch& batch, StepResults& results) {
    const bool wanted = std::ranges::any_of(
        batch.sampling, [](const SamplingRow& row) { return row.params.num_logprobs >= 0; });
    results.top_logprobs.assign(wanted ? results.rows.size() * max_top_logprobs : 0, {});
    for (std::size_t row = 0; row < results.rows.size(); ++row) {
        const TokenId chosen = results.rows[row].token;
        results.rows[row].logprob = fake_logprob(chosen, 0);
        for (std::int32_t place = 0; place < batch.sampling[row].params.num_logprobs; ++place) {
            results.top_logprobs.at(row * max_top_logprobs + static_cast<std::size_t>(place)) = {
                (chosen + place) % options_.vocab_size, fake_logprob(chosen, place)};
        }
    }
}

void FakeBackend::copy_blocks(const ForwardBatch& batch) {
    check_copies(batch.block_copies);
    for (const BlockCopy& copy : batch.block_copies) {
        const auto source = kv_.begin() + std::ptrdiff_t{copy.source} * kv_block_size;
        std::copy_n(source, kv_block_size, kv_.begin() + std::ptrdiff_t{copy.destination} * kv_block_size);
    }
}

void FakeBackend::store_tokens(const ForwardBatch& batch) {
    for (std::size_t s = 0; s < batch.context_lens.size(); ++s) {
        const std::int32_t begin = batch.cu_seqlens_q[s];
        const std::int32_t end = batch.cu_seqlens_q[s + 1];
        require(begin < end, "a sequence without tokens");
        for (std::int32_t i = begin; i < end; ++i) {
            const auto token = static_cast<std::size_t>(i);
            require(batch.positions[token] == batch.context_lens[s] - (end - i), "positions");
            kv_.at(static_cast<std::size_t>(batch.slot_mapping[token])) = batch.token_ids[token];
        }
    }
}

void FakeBackend::read_context(const ForwardBatch& batch, std::int32_t row) {
    const auto end = std::ranges::upper_bound(batch.cu_seqlens_q, row);
    const auto sequence = static_cast<std::size_t>(end - batch.cu_seqlens_q.begin()) - 1;
    const std::int32_t length = batch.context_lens.at(sequence) - (*end - 1 - row);
    context_.clear();
    const std::size_t table = sequence * static_cast<std::size_t>(batch.block_table_stride);
    for (std::int32_t position = 0; position < length; ++position) {
        require(position / kv_block_size < batch.block_table_stride, "a block table is too short");
        const std::int32_t block =
            batch.block_tables[table + static_cast<std::size_t>(position / kv_block_size)];
        require(block >= 0, "a block table is too short");
        context_.push_back(kv_.at(static_cast<std::size_t>(block) * kv_block_size +
                                  static_cast<std::size_t>(position % kv_block_size)));
    }
}

SampledToken fake_next_token(std::span<const TokenId> context, const SamplingRow& row,
                             const FakeOptions& options, std::span<const std::uint32_t> mask) {
    SampledToken next;
    if (const auto scripted = options.script ? options.script(context) : std::nullopt) {
        next = *scripted;
    } else {
        std::uint64_t hash = mix(row.params.seed, row.params.choice);
        for (const TokenId token : context) hash = mix(hash, static_cast<std::uint64_t>(token));
        const auto range = static_cast<std::uint64_t>(options.vocab_size - options.first_token);
        next.token = options.first_token + static_cast<TokenId>(hash % range);
    }
    if (mask.empty() || !next.finite) return next;
    while (!is_allowed(mask, next.token)) next.token = (next.token + 1) % options.vocab_size;
    return next;
}

float fake_logprob(TokenId chosen, std::int32_t place) {
    return -static_cast<float>(1 + chosen % 8) / 8 - static_cast<float>(place);
}

std::vector<RankedLogprob> fake_scores(std::span<const TokenId> context, TokenId token,
                                       std::int32_t num_alternatives, const FakeOptions& options) {
    std::vector<RankedLogprob> scores(static_cast<std::size_t>(1 + num_alternatives));
    scores.front().token = token;
    const SampledToken likeliest = fake_next_token(context, {}, options);
    if (!likeliest.finite) return scores;
    const std::int32_t own = (token - likeliest.token + options.vocab_size) % options.vocab_size;
    scores.front() = {token, fake_logprob(likeliest.token, own), own + 1};
    for (std::int32_t place = 0; place < num_alternatives; ++place) {
        scores[static_cast<std::size_t>(1 + place)] = {(likeliest.token + place) % options.vocab_size,
                                                       fake_logprob(likeliest.token, place), place + 1};
    }
    return scores;
}

std::vector<TokenId> fake_reference(std::vector<TokenId> prompt, std::int32_t count,
                                    const FakeOptions& options, const SamplingParams& sampling) {
    const auto num_prompt_tokens = static_cast<std::ptrdiff_t>(prompt.size());
    std::vector<TokenId> context = std::move(prompt);
    for (std::int32_t i = 0; i < count; ++i) {
        context.push_back(fake_next_token(context, {.params = sampling}, options).token);
    }
    return {context.begin() + num_prompt_tokens, context.end()};
}

}  // namespace solard
