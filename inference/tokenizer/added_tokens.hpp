// Finds the added tokens in a text: tokens with a text of their own, which the model of the tokenizer does
// not see. Source: AddedVocabulary of the library tokenizers.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "inference/text/marked_text.hpp"
#include "inference/token_id.hpp"
#include "inference/tokenizer/normalizer.hpp"
#include "inference/tokenizer/text_piece.hpp"

namespace solard {

struct AddedToken {
    std::string content;  // not empty
    TokenId id = 0;
    bool special = false;      // left out of decoded text unless it is asked for
    bool single_word = false;  // found only if no letter stands before and after it
    bool lstrip = false;       // takes the white space before it
    bool rstrip = false;       // takes the white space after it
    bool normalized = false;   // looked for in the normalized text
    // True for a token that can change the meaning of a prompt, such as the beginning of a turn. Only trusted
    // text becomes such a token.
    bool is_markup = false;
};

// Immutable; any thread may use it.
class AddedTokens {
  public:
    AddedTokens() = default;
    AddedTokens(std::vector<AddedToken> tokens, Normalizer normalizer);

    // The pieces of a text, and the memory of those that were normalized.
    struct Pieces {
        std::vector<TextPiece> list;
        std::deque<MarkedText> normalized;
    };
    // Splits `text`, which must be valid UTF-8 and live as long as the pieces. At each place the longest
    // token is found; the first place wins. A token that is markup stays text unless each of its bytes is
    // trusted. The time is linear in the length of the text, times the length of the longest token.
    Pieces split(const MarkedText& text) const;

  private:
    // A prefix tree of the contents of tokens.
    class Tree {
      public:
        void add(std::string_view content, std::size_t token);
        struct Match {
            std::size_t size = 0;  // 0: no match
            std::size_t token = 0;
        };
        // Returns the longest content that `text` begins with.
        Match longest(std::string_view text) const;
        bool empty() const { return ends_.size() == 1; }

      private:
        static constexpr std::uint32_t no_token = UINT32_MAX;
        std::unordered_map<std::uint64_t, std::uint32_t> children_;  // by node << 8 | byte
        std::vector<std::uint32_t> ends_{no_token};  // [node]: the token whose content ends there
    };
    void split_by(const Tree& tree, const MarkedText& whole, TextPiece piece,
                  std::vector<TextPiece>& pieces) const;

    std::vector<AddedToken> tokens_;
    Normalizer normalizer_;
    Tree raw_;         // tokens that are looked for in the text as it is
    Tree normalized_;  // tokens that are looked for in the normalized text
};

}  // namespace solard
