// Collects the added and special tokens from every file of a model folder in which they are written.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "inference/tokenizer/added_tokens.hpp"
#include "inference/tokenizer/object_reader.hpp"

namespace solard {

// Returns true for a text in brackets, such as <|im_start|>, <tool_call> or [INST]. Folders often do not mark
// such tokens as special.
bool looks_like_markup(std::string_view content);

// The functions are called in the order in which they stand here. A problem is recorded in the reader's
// JsonProblem: a token with two ids, or an id with two texts.
class AddedTokenTable {
  public:
    // The vocabulary of the tokenizer's model.
    struct Vocabulary {
        std::function<TokenId(std::string_view text)> find;   // returns -1 for an unknown text
        std::function<std::string_view(TokenId id)> text_of;  // returns "" for an unknown id
        bool may_be_renamed = false;  // an added token may replace the text of the vocabulary for its id
    };
    // `max_id` bounds the ids.
    AddedTokenTable(Vocabulary vocabulary, TokenId max_id);

    // Adds a special token of the vocabulary.
    void add_special(std::string content, TokenId id);
    // Reads "added_tokens", a list, of tokenizer.json.
    void read_list(ObjectReader& tokenizer);
    // Reads "added_tokens_decoder" of tokenizer_config.json: the same by id. Its flags replace those of the
    // list.
    void read_decoder(ObjectReader& config);
    // Reads the whole of added_tokens.json: ids by text.
    void read_ids(const boost::json::object& ids, JsonProblem& problem);
    // Reads the keys such as "bos_token" and "additional_special_tokens" of tokenizer_config.json or
    // special_tokens_map.json. They have no ids; a text that neither the vocabulary nor a token has is
    // ignored, because the model has not learned it.
    void read_names(ObjectReader& config);

    // Returns the id of the text that read_names() found for `key`.
    std::optional<TokenId> named(const std::string& key) const;
    std::vector<AddedToken> take();

  private:
    void add(AddedToken token, const std::string& place, JsonProblem& problem, bool replaces_flags);
    void add_name(const boost::json::value& value, std::string_view key);
    static AddedToken read_flags(ObjectReader& reader);

    Vocabulary vocabulary_;
    TokenId max_id_;
    std::map<std::string, AddedToken, std::less<>> tokens_;
    std::set<std::string, std::less<>> without_flags_;  // read by read_ids() only
    std::map<TokenId, std::string> contents_;
    std::map<std::string, TokenId> names_;
};

}  // namespace solard
