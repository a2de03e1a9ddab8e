// What a grammar says about an answer: which texts it may be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "inference/token_id.hpp"

namespace solard {

// How far one answer has come in its grammar. Each sequence has its own; only the engine thread uses it.
// Members may throw an exception if the library finds a fault in itself; then only roll_back() and the
// destructor may be called.
class GrammarState {
  public:
    virtual ~GrammarState() = default;
    GrammarState() = default;
    GrammarState(const GrammarState&) = delete;
    GrammarState& operator=(const GrammarState&) = delete;

    // Appends a token to the answer. Returns false and changes nothing if the grammar does not allow it.
    virtual bool accept(TokenId token) = 0;
    // Takes back the last `count` accepted tokens.
    virtual void roll_back(std::int32_t count) = 0;
    // Writes the set of tokens that may come next; `mask` is [mask_words(vocab_size)]. An end-of-sequence
    // token is in the set where the answer may end. Must not be called after an end-of-sequence token was
    // accepted.
    virtual void fill_mask(std::span<std::uint32_t> mask) = 0;
    // If the next characters of the answer are certain, returns the token with which they must begin: that of
    // the encoding of these characters. The last token of this encoding is not forced, because the tokenizer
    // may join its characters with those that follow. Must not be called after an end-of-sequence token was
    // accepted.
    virtual std::optional<TokenId> forced_token() = 0;
    // Returns true if an end-of-sequence token was accepted.
    virtual bool has_ended() const = 0;
};

// A compiled grammar. Immutable; any thread may use it.
class Grammar {
  public:
    virtual ~Grammar() = default;
    Grammar() = default;
    Grammar(const Grammar&) = delete;
    Grammar& operator=(const Grammar&) = delete;

    // Returns the state of an answer that has not begun.
    virtual std::unique_ptr<GrammarState> begin() const = 0;
    virtual std::int32_t vocab_size() const = 0;
    // Returns about how much memory the grammar takes.
    virtual std::size_t num_bytes() const = 0;
};

}  // namespace solard
