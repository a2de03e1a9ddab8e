#include "inference/tokenizer/added_token_table.hpp"

#include <array>
#include <charconv>
#include <system_error>
#include <utility>

#include "inference/text/json_text.hpp"

namespace solard {
namespace {

namespace json = boost::json;

constexpr std::array name_keys = {"bos_token", "eos_token", "unk_token", "pad_token",
                                  "sep_token", "cls_token", "mask_token"};
// The second key is that of transformers 5.
constexpr std::array list_keys = {"additional_special_tokens", "extra_special_tokens"};

// Returns the text of a token that is written as a string or as an object with a content.
std::optional<std::string> content_of(const json::value& value) {
    const json::value* content = &value;
    if (const auto* object = value.if_object()) content = object->if_contains("content");
    const auto* text = content == nullptr ? nullptr : content->if_string();
    if (text == nullptr || text->empty()) return std::nullopt;
    return std::string(*text);
}

}  // namespace

bool looks_like_markup(std::string_view content) {
    return (content.starts_with('<') && content.ends_with('>')) ||
           (content.starts_with('[') && content.ends_with(']'));
}

AddedTokenTable::AddedTokenTable(Vocabulary vocabulary, TokenId max_id)
    : vocabulary_(std::move(vocabulary)), max_id_(max_id) {}

AddedToken AddedTokenTable::read_flags(ObjectReader& reader) {
    AddedToken token;
    token.content = reader.string("content");
    token.special = reader.boolean("special", false);
    token.single_word = reader.boolean("single_word", false);
    token.lstrip = reader.boolean("lstrip", false);
    token.rstrip = reader.boolean("rstrip", false);
    token.normalized = reader.boolean("normalized", !token.special);
    reader.ignore("__type");  // written by older versions of transformers
    return token;
}

void AddedTokenTable::add_special(std::string content, TokenId id) {
    AddedToken token;
    token.content = content;
    token.id = id;
    token.special = true;
    token.is_markup = true;
    tokens_.emplace(std::move(content), std::move(token));
}

void AddedTokenTable::read_list(ObjectReader& tokenizer) {
    if (tokenizer.find("added_tokens") == nullptr) return;
    for (ObjectReader& reader : tokenizer.objects("added_tokens")) {
        AddedToken token = read_flags(reader);
        token.id = reader.integer("id");
        reader.refuse_other_keys();
        add(std::move(token), reader.path(), reader.problem(), true);
    }
}

void AddedTokenTable::read_decoder(ObjectReader& config) {
    auto decoder = config.object("added_tokens_decoder");
    if (!decoder) return;
    for (const auto& [key, value] : decoder->object()) {
        const std::string id(key);
        auto reader = decoder->object(id);
        if (!reader) return;
        AddedToken token = read_flags(*reader);
        reader->refuse_other_keys();
        const auto [end, ec] = std::from_chars(id.data(), id.data() + id.size(), token.id);
        if (ec != std::errc() || end != id.data() + id.size() || token.id < 0)
            return config.problem().set(decoder->path() + " has the key " + quoted_name(id) +
                                        ", expected token ids as keys");
        add(std::move(token), reader->path(), reader->problem(), true);
    }
}

void AddedTokenTable::read_ids(const json::object& ids, JsonProblem& problem) {
    for (const auto& [key, value] : ids) {
        const std::int64_t* id = value.if_int64();
        const std::string place = quoted_name(key);
        if (id == nullptr || *id < 0 || *id > max_id_)
            return problem.set(place + " has no id from 0 to " + std::to_string(max_id_));
        AddedToken token;
        token.content = key;
        token.id = static_cast<TokenId>(*id);
        token.normalized = true;
        if (!tokens_.contains(token.content)) without_flags_.insert(token.content);
        add(std::move(token), place, problem, false);
    }
}

void AddedTokenTable::add(AddedToken token, const std::string& place, JsonProblem& problem,
                          bool replaces_flags) {
    if (!problem.empty()) return;
    const std::string name = quoted_name(token.content);
    if (token.content.empty()) return problem.set(place + " has an empty text");
    if (token.id > max_id_)
        return problem.set(place + " has the id " + std::to_string(token.id) + ", expected at most " +
                           std::to_string(max_id_));
    const auto known = tokens_.find(token.content);
    const TokenId other_id = known == tokens_.end() ? vocabulary_.find(token.content) : known->second.id;
    if (other_id >= 0 && other_id != token.id)
        return problem.set(place + " is the token " + name + " with the id " + std::to_string(token.id) +
                           ", but this text already has the id " + std::to_string(other_id));
    const auto [content, is_new] = contents_.emplace(token.id, token.content);
    std::string other = is_new ? std::string(vocabulary_.text_of(token.id)) : content->second;
    if (is_new && vocabulary_.may_be_renamed) other.clear();
    if (!other.empty() && other != token.content)
        return problem.set(place + " is the token " + name + " with the id " + std::to_string(token.id) +
                           ", but this id already belongs to " + quoted_name(other));
    token.is_markup = token.special || looks_like_markup(token.content);
    if (known == tokens_.end() || replaces_flags) tokens_[token.content] = std::move(token);
}

void AddedTokenTable::read_names(ObjectReader& config) {
    for (const auto* key : name_keys) {
        if (const auto* value = config.find(key)) {
            // Some folders write false for a token that they do not have.
            if (value->is_bool()) continue;
            if (!content_of(*value)) return config.refuse(key, "a string, or an object with a content");
            add_name(*value, key);
        }
    }
    for (const auto* key : list_keys) {
        const auto* value = config.find(key);
        if (value == nullptr) continue;
        if (const auto* object = value->if_object()) {
            for (const auto& [name, token] : *object) add_name(token, name);
        } else if (const auto* list = value->if_array()) {
            for (const json::value& token : *list) add_name(token, key);
        } else {
            return config.refuse(key, "a list");
        }
    }
}

void AddedTokenTable::add_name(const json::value& value, std::string_view key) {
    const auto content = content_of(value);
    if (!content) return;
    auto found = tokens_.find(*content);
    if (found == tokens_.end()) {
        AddedToken token;
        token.content = *content;
        token.id = vocabulary_.find(*content);
        if (token.id < 0 || token.id > max_id_) return;
        token.special = true;
        if (const auto* object = value.if_object()) {
            const auto flag = [object](std::string_view name) {
                const auto* flag_value = object->if_contains(name);
                return flag_value != nullptr && flag_value->is_bool() && flag_value->get_bool();
            };
            token.lstrip = flag("lstrip");
            token.rstrip = flag("rstrip");
            token.single_word = flag("single_word");
            token.normalized = flag("normalized");
        }
        contents_.emplace(token.id, *content);
        found = tokens_.emplace(*content, std::move(token)).first;
    }
    found->second.is_markup = true;
    if (without_flags_.contains(*content)) {
        found->second.special = true;
        found->second.normalized = false;
    }
    names_.emplace(key, found->second.id);
}

std::optional<TokenId> AddedTokenTable::named(const std::string& key) const {
    const auto found = names_.find(key);
    if (found == names_.end()) return std::nullopt;
    return found->second;
}

std::vector<AddedToken> AddedTokenTable::take() {
    std::vector<AddedToken> tokens;
    tokens.reserve(tokens_.size());
    for (auto& [content, token] : tokens_) tokens.push_back(std::move(token));
    tokens_.clear();
    return tokens;
}

}  // namespace solard
