// Converts text to tokens and back with the folder's tokenizer.json or, if there is none, its
// tokenizer.model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "inference/error.hpp"
#include "inference/text/marked_text.hpp"
#include "inference/token_id.hpp"
#include "inference/tokenizer/added_tokens.hpp"
#include "inference/tokenizer/post_processor.hpp"
#include "inference/tokenizer/text_piece.hpp"

namespace solard {

struct EncodeOptions {
    // The tokens that the folder puts before and after a text are added. Usually this is BOS.
    bool add_special_tokens = true;
    // Text that looks like a special token, such as </s>, becomes that token. Otherwise it stays text. Added
    // tokens that are words are found in any case.
    bool parse_special = false;
};

// Immutable after load(); every member may be called from any thread.
class Tokenizer {
  public:
    // Loads tokenizer.json or tokenizer.model, and the added and special tokens of tokenizer_config.json,
    // special_tokens_map.json and added_tokens.json. `vocab_size` is the vocabulary size of the model. A
    // vocabulary with larger ids is refused. Errors: bad_model.
    static result<Tokenizer> load(const std::filesystem::path& folder, std::int32_t vocab_size);

    // Returns the tokens of `text`. Bytes that are not UTF-8 count as U+FFFD. Errors: invalid_request if the
    // text contains an added token whose id the model does not have, or needs too much work. Throws
    // std::bad_alloc if memory is short.
    result<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options) const;

    // Returns the tokens of a rendered conversation, which must be valid UTF-8. Special tokens are recognised
    // where all their characters are trusted. If `add_special_tokens` is true, the tokens that the folder
    // puts before a text are added, unless the conversation begins with them. Errors: as encode(). Throws
    // std::bad_alloc if memory is short.
    result<std::vector<TokenId>> encode_chat(const MarkedText& text, bool add_special_tokens = true) const;

    // Returns the tokens of a text that continues another one, so that nothing is put before it, or an empty
    // list if its tokens depend on what stands before it. Added tokens are not recognised.
    std::vector<TokenId> encode_continuation(std::string_view text) const;

    // Returns the bytes that `token` adds to a text that has already begun: a space for U+2581, one raw byte
    // for a byte piece, and nothing for ids without a text. For a special token, returns its text if
    // `skip_special_tokens` is false, and nothing otherwise. The view is valid as long as this object lives.
    std::string_view bytes_of(TokenId token, bool skip_special_tokens = true) const;

    // Returns the text of `tokens`, which must be the beginning of a text. A space which the tokenizer puts
    // before every text does not belong to it.
    std::string decode(std::span<const TokenId> tokens, bool skip_special_tokens = true) const;

    // Returns true if the tokenizer puts a space before every text, which decode() takes away.
    bool adds_space() const { return strips_space_; }

    // Returns the BOS piece of tokenizer.model, or nothing if tokenizer.json is used, whose BOS need not be
    // that of the model's configuration.
    std::optional<TokenId> bos() const { return bos_; }
    // Returns the largest number of bytes of text that one token stands for. Exceptions are the unknown
    // token, and tokens that take the white space beside them: they may stand for more.
    std::size_t longest_piece_bytes() const { return longest_piece_bytes_; }

    std::int32_t vocab_size() const { return static_cast<std::int32_t>(bytes_.size()); }

  private:
    struct Text {
        std::string bytes;
        bool special = false;
    };
    Tokenizer() = default;
    class Loader;
    result<void> append_tokens(const MarkedText& text, std::vector<TokenId>& ids) const;

    std::unique_ptr<const TextEncoder> encoder_;
    AddedTokens added_;
    TextFrame frame_;
    std::vector<Text> bytes_;            // [largest id of the model with a text + 1]
    std::int32_t model_vocab_size_ = 0;  // ids from here on cannot be computed
    bool strips_space_ = false;
    std::optional<TokenId> bos_;
    std::size_t longest_piece_bytes_ = 1;
};

}  // namespace solard
