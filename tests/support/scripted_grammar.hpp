// A grammar that a test writes as a function.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "inference/grammar/grammar.hpp"
#include "inference/token_mask.hpp"

namespace solard {

class ScriptedGrammar final : public Grammar {
  public:
    // Returns the tokens that may follow the answer so far.
    using Rule = std::function<std::vector<TokenId>(std::span<const TokenId> answer)>;

    // `end_token` ends an answer where the rule allows it. If `forces` is true, the grammar says so where the
    // rule allows one token only.
    ScriptedGrammar(std::int32_t vocab_size, TokenId end_token, Rule rule, bool forces = false)
        : vocab_size_(vocab_size), end_token_(end_token), rule_(std::move(rule)), forces_(forces) {}

    std::unique_ptr<GrammarState> begin() const override { return std::make_unique<State>(*this); }
    std::int32_t vocab_size() const override { return vocab_size_; }
    std::size_t num_bytes() const override { return 1; }

  private:
    class State final : public GrammarState {
      public:
        explicit State(const ScriptedGrammar& grammar) : grammar_(grammar) {}
        bool accept(TokenId token) override {
            if (has_ended()) return false;
            const std::vector<TokenId> allowed = grammar_.rule_(answer_);
            if (std::ranges::find(allowed, token) == allowed.end()) return false;
            answer_.push_back(token);
            return true;
        }
        void roll_back(std::int32_t count) override {
            answer_.resize(answer_.size() - static_cast<std::size_t>(count));
        }
        void fill_mask(std::span<std::uint32_t> mask) override {
            std::ranges::fill(mask, 0);
            for (const TokenId token : grammar_.rule_(answer_)) {
                const auto index = static_cast<std::size_t>(token);
                mask[index / mask_word_bits] |= std::uint32_t{1} << (index % mask_word_bits);
            }
        }
        std::optional<TokenId> forced_token() override {
            const std::vector<TokenId> allowed = grammar_.rule_(answer_);
            if (!grammar_.forces_ || allowed.size() != 1 || allowed.front() == grammar_.end_token_)
                return std::nullopt;
            return allowed.front();
        }
        bool has_ended() const override { return !answer_.empty() && answer_.back() == grammar_.end_token_; }

      private:
        const ScriptedGrammar& grammar_;
        std::vector<TokenId> answer_;
    };

    std::int32_t vocab_size_;
    TokenId end_token_;
    Rule rule_;
    bool forces_;
};

}  // namespace solard
