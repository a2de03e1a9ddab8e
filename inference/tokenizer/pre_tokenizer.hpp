// Splits a text into the words that are encoded one by one: the part "pre_tokenizer" of tokenizer.json.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "inference/error.hpp"
#include "inference/tokenizer/object_reader.hpp"
#include "inference/tokenizer/split_pattern.hpp"

namespace solard {

// The words of one text. Kept between calls to reuse its memory; must be used by one thread at a time.
struct WordList {
    std::vector<std::string_view> words;  // views into the text or into `changed`
    std::deque<std::string> changed;      // texts that were changed before they were split
    MatchMemory memory;
};

// Immutable after read(); any thread may use it. An object that was not read makes the whole text one word.
class PreTokenizer {
  public:
    // Reads the object "pre_tokenizer": Metaspace without a split, ByteLevel, Split with the behavior
    // Isolated, Digits, and Sequence. A problem is recorded in the reader.
    static PreTokenizer read(ObjectReader pre_tokenizer);

    // Returns true if the model sees the bytes of a word, and not its characters (ByteLevel).
    bool is_byte_level() const { return is_byte_level_; }

    // Replaces the words in `list` by those of `text`, which must be valid UTF-8 and must live as long as the
    // words are used. `begins_text` says that nothing stands before `text`. Errors: invalid_request by
    // SplitPattern::split().
    result<void> split(std::string_view text, bool begins_text, WordList& list) const;

  private:
    // Writes spaces as `mark`, and puts a mark before a text that begins without one.
    struct Metaspace {
        enum class Prepend : std::uint8_t { always, first, never };
        std::string mark;
        Prepend prepend = Prepend::always;
    };
    struct PrefixSpace {};  // puts a space before a text that begins without one
    using Step = std::variant<Metaspace, PrefixSpace, SplitPattern>;

    void add(ObjectReader& reader);
    void add_metaspace(ObjectReader& reader);
    void add_byte_level(ObjectReader& reader);
    void add_split(ObjectReader& reader);
    void add_pattern(ObjectReader& reader, std::string_view key, std::string_view pattern);

    std::vector<Step> steps_;
    bool is_byte_level_ = false;
};

}  // namespace solard
