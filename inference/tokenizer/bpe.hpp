// Byte pair encoding: merges the characters of a word to the pieces of a vocabulary. Source: BPE of the
// library tokenizers, whose file format it reads.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "inference/token_id.hpp"
#include "inference/tokenizer/object_reader.hpp"

namespace solard {

// What a word consists of before merging: characters, or the bytes of ByteLevel's alphabet.
enum class BpeAlphabet : std::uint8_t { characters, bytes };

// The memory of encoding a word. It is kept between calls, and must be used by one thread at a time.
struct BpeMemory {
    struct Symbol {
        TokenId token;
        std::int32_t previous;  // index of the symbol before this one, or -1
        std::int32_t next;      // index of the symbol after this one, or -1
    };
    // Two neighbours that can be merged to `token`.
    struct Candidate {
        std::int32_t rank;  // the place of the merge in the list of merges; the lowest goes first
        std::int32_t left;  // index of the left symbol
        TokenId token;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> candidates;  // a heap
    std::uint64_t num_candidates = 0;   // that were ever looked at; tests bound the work with it
};

// Immutable after read(); any thread may use it.
class Bpe {
  public:
    // Reads the object "model" of tokenizer.json. Token ids must be less than `vocab_size`. A problem is
    // recorded in the reader.
    static Bpe read(ObjectReader model, BpeAlphabet alphabet, std::int32_t vocab_size);

    // Appends the tokens of `word`, which must be valid UTF-8 unless the alphabet is bytes. The time is
    // O(n log n) in the length of the word. A character that is not in the vocabulary becomes its bytes or
    // the unknown token, or is left out if the vocabulary has neither.
    void encode(std::string_view word, BpeMemory& memory, std::vector<TokenId>& out) const;

    // The texts of the vocabulary, by token id, as the file has them. A text without a token is empty.
    const std::vector<std::string>& texts() const { return texts_; }
    // Returns -1 if the vocabulary does not have `text`, as the file has it.
    TokenId find(std::string_view text) const;
    // encode() never gives these tokens from now on. Must not be called while another thread encodes.
    void forget(const std::unordered_set<TokenId>& tokens);

  private:
    struct Merge {
        std::int32_t rank;
        TokenId token;
    };
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
    };
    using Ids = std::unordered_map<std::string, TokenId, TextHash, std::equal_to<>>;

    void read_vocabulary(ObjectReader& model, std::int32_t vocab_size);
    void read_merges(ObjectReader& model);
    void read_bytes(ObjectReader& model);
    void split(std::string_view word, std::vector<BpeMemory::Symbol>& symbols) const;
    void merge(BpeMemory& memory) const;
    void add_candidate(BpeMemory& memory, std::int32_t left, bool to_heap) const;

    BpeAlphabet alphabet_ = BpeAlphabet::characters;
    std::vector<std::string> texts_;
    Ids ids_;  // of the words to which merging can lead; in an alphabet of bytes, the keys are bytes
    std::unordered_map<std::uint64_t, Merge> merges_;  // by the two tokens, left << 32 | right
    std::array<TokenId, 256> bytes_{};  // the token of each byte (fallback, or alphabet of bytes), or -1
    TokenId unknown_ = -1;
    bool byte_fallback_ = false;
    bool fuse_unknown_ = false;
    bool ignore_merges_ = false;
};

}  // namespace solard
