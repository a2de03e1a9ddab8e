#include "inference/tokenizer/bpe.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <optional>
#include <utility>

#include "inference/text/json_text.hpp"
#include "inference/tokenizer/byte_alphabet.hpp"

namespace solard {
namespace {

namespace json = boost::json;

// The two texts of a merge: written as "a b" by older versions of the library, and as ["a", "b"] by newer
// ones.
std::optional<std::pair<std::string_view, std::string_view>> parse_merge(const json::value& value) {
    if (const auto* text = value.if_string()) {
        const std::string_view merge(*text);
        const auto space = merge.find(' ');
        if (space == std::string_view::npos || merge.find(' ', space + 1) != std::string_view::npos)
            return std::nullopt;
        return std::pair(merge.substr(0, space), merge.substr(space + 1));
    }
    const auto* pair = value.if_array();
    if (pair == nullptr || pair->size() != 2) return std::nullopt;
    const auto* left = (*pair)[0].if_string();
    const auto* right = (*pair)[1].if_string();
    if (left == nullptr || right == nullptr) return std::nullopt;
    return std::pair(std::string_view(*left), std::string_view(*right));
}

std::uint64_t pair_key(TokenId left, TokenId right) {
    return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
}

std::size_t character_size(std::string_view text) {
    std::size_t size = 1;
    while (size < text.size() && (static_cast<unsigned char>(text[size]) & 0xC0) == 0x80) ++size;
    return size;
}

// The order of the heap: std::push_heap() puts the candidate first that no other candidate comes before.
bool goes_after(const BpeMemory::Candidate& a, const BpeMemory::Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.left > b.left;
}

}  // namespace

Bpe Bpe::read(ObjectReader model, BpeAlphabet alphabet, std::int32_t vocab_size) {
    Bpe bpe;
    bpe.alphabet_ = alphabet;
    if (model.string("type") != "BPE") model.refuse("type", "\"BPE\" (other models are not supported)");
    const auto* dropout = model.find("dropout");
    if (dropout != nullptr && (!dropout->is_number() || dropout->to_number<double>() != 0))
        model.refuse("dropout", "null or 0, because the same text must have the same tokens");
    for (const auto* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
        if (!model.string(key, "").empty()) model.refuse(key, "null or \"\" (others are not supported)");
    }
    bpe.fuse_unknown_ = model.boolean("fuse_unk", false);
    bpe.byte_fallback_ = model.boolean("byte_fallback", false);
    bpe.ignore_merges_ = model.boolean("ignore_merges", false);
    const std::string unknown = model.string("unk_token", "");
    bpe.read_vocabulary(model, vocab_size);
    bpe.read_bytes(model);
    bpe.read_merges(model);
    if (!unknown.empty()) {
        bpe.unknown_ = bpe.find(unknown);
        if (bpe.unknown_ < 0) model.refuse("unk_token", "a text of model.vocab");
    }
    model.refuse_other_keys();
    return bpe;
}

void Bpe::read_vocabulary(ObjectReader& model, std::int32_t vocab_size) {
    const auto* vocabulary = model.find("vocab");
    if (vocabulary == nullptr || !vocabulary->is_object()) return model.refuse("vocab", "an object");
    for (const auto& [key, value] : vocabulary->get_object()) {
        const std::string_view text(key);
        const std::int64_t* id = value.if_int64();
        const auto refuse = [&](const std::string& what) {
            model.problem().set("model.vocab[" + quoted_name(text) + "] is " + what);
        };
        if (id == nullptr || *id < 0 || *id >= vocab_size) {
            return refuse(json::serialize(value) + ", expected an id from 0 to " +
                          std::to_string(vocab_size - 1) + " (vocab_size - 1)");
        }
        const auto index = static_cast<std::size_t>(*id);
        if (texts_.size() <= index) texts_.resize(index + 1);
        if (text.empty() || !texts_[index].empty()) {
            return refuse(std::to_string(*id) + ", but " +
                          (text.empty() ? "an empty text has no id"
                                        : "this is the id of " + quoted_name(texts_[index])));
        }
        texts_[index] = text;
        auto word = alphabet_ == BpeAlphabet::bytes ? bytes_of_byte_characters(text) : std::string(text);
        if (word) ids_.emplace(*std::move(word), static_cast<TokenId>(*id));
    }
    if (texts_.empty()) model.refuse("vocab", "at least one text");
}

void Bpe::read_bytes(ObjectReader& model) {
    bytes_.fill(-1);
    for (unsigned byte = 0; byte < bytes_.size(); ++byte) {
        std::array<char, 8> name{};
        std::snprintf(name.data(), name.size(), "<0x%02X>", byte);
        const std::string word =
            alphabet_ == BpeAlphabet::bytes ? std::string(1, static_cast<char>(byte)) : name.data();
        if (const auto found = ids_.find(word); found != ids_.end()) bytes_.at(byte) = found->second;
        if (byte_fallback_ && alphabet_ == BpeAlphabet::characters && bytes_.at(byte) < 0) {
            model.problem().set("model.byte_fallback is true, but model.vocab does not have " +
                                quoted_name(word) + ", expected all 256 bytes");
        }
    }
    if (byte_fallback_ && alphabet_ == BpeAlphabet::bytes)
        model.refuse("byte_fallback", "false if the pre-tokenizer is ByteLevel");
}

void Bpe::read_merges(ObjectReader& model) {
    const auto* list = model.array("merges");
    if (list == nullptr || !model.problem().empty()) return;
    const auto word_of = [this](std::string_view text) {
        return alphabet_ == BpeAlphabet::bytes ? bytes_of_byte_characters(text) : std::string(text);
    };
    merges_.reserve(list->size());
    for (std::size_t i = 0; i < list->size(); ++i) {
        const auto texts = parse_merge((*list)[i]);
        const auto left = texts ? word_of(texts->first) : std::nullopt;
        const auto right = texts ? word_of(texts->second) : std::nullopt;
        const auto left_id = left ? ids_.find(*left) : ids_.end();
        const auto right_id = right ? ids_.find(*right) : ids_.end();
        const auto merged = left && right ? ids_.find(*left + *right) : ids_.end();
        if (left_id == ids_.end() || right_id == ids_.end() || merged == ids_.end()) {
            return model.problem().set("model.merges[" + std::to_string(i) + "] is " +
                                       quoted_name(json::serialize((*list)[i])) +
                                       ", expected two texts that are in model.vocab, as their sum is");
        }
        merges_.insert_or_assign(pair_key(left_id->second, right_id->second),
                                 Merge{static_cast<std::int32_t>(i), merged->second});
    }
}

TokenId Bpe::find(std::string_view text) const {
    const auto word = alphabet_ == BpeAlphabet::bytes ? bytes_of_byte_characters(text) : std::string(text);
    if (word) {
        const auto found = ids_.find(*word);
        return found == ids_.end() ? -1 : found->second;
    }
    const auto found = std::ranges::find(texts_, text);
    return found == texts_.end() ? -1 : static_cast<TokenId>(found - texts_.begin());
}

void Bpe::forget(const std::unordered_set<TokenId>& tokens) {
    std::erase_if(ids_, [&](const auto& entry) { return tokens.contains(entry.second); });
    std::erase_if(merges_, [&](const auto& entry) { return tokens.contains(entry.second.token); });
}

void Bpe::encode(std::string_view word, BpeMemory& memory, std::vector<TokenId>& out) const {
    if (ignore_merges_) {
        if (const auto found = ids_.find(word); found != ids_.end()) {
            out.push_back(found->second);
            return;
        }
    }
    memory.symbols.clear();
    split(word, memory.symbols);
    merge(memory);
    if (memory.symbols.empty()) return;
    for (std::int32_t i = 0; i >= 0; i = memory.symbols[static_cast<std::size_t>(i)].next) {
        out.push_back(memory.symbols[static_cast<std::size_t>(i)].token);
    }
}

// Appends a symbol for each character, linked to its neighbours.
void Bpe::split(std::string_view word, std::vector<BpeMemory::Symbol>& symbols) const {
    const auto append = [&symbols](TokenId token) {
        const auto index = static_cast<std::int32_t>(symbols.size());
        if (index > 0) symbols.back().next = index;
        symbols.push_back({token, index - 1, -1});
    };
    bool follows_unknown = false;
    while (!word.empty()) {
        const std::size_t size = alphabet_ == BpeAlphabet::bytes ? 1 : character_size(word);
        const std::string_view character = word.substr(0, size);
        word.remove_prefix(size);
        TokenId token = -1;
        if (alphabet_ == BpeAlphabet::bytes) {
            token = bytes_[static_cast<unsigned char>(character.front())];
        } else if (const auto found = ids_.find(character); found != ids_.end()) {
            token = found->second;
        }
        if (token >= 0) {
            append(token);
            follows_unknown = false;
        } else if (byte_fallback_) {
            for (const char byte : character) append(bytes_[static_cast<unsigned char>(byte)]);
        } else if (unknown_ >= 0) {
            if (!follows_unknown || !fuse_unknown_) append(unknown_);
            follows_unknown = true;
        }
    }
}

void Bpe::add_candidate(BpeMemory& memory, std::int32_t left, bool to_heap) const {
    const BpeMemory::Symbol& symbol = memory.symbols[static_cast<std::size_t>(left)];
    if (symbol.next < 0) return;
    const TokenId right = memory.symbols[static_cast<std::size_t>(symbol.next)].token;
    ++memory.num_candidates;
    const auto found = merges_.find(pair_key(symbol.token, right));
    if (found == merges_.end()) return;
    memory.candidates.push_back({found->second.rank, left, found->second.token});
    if (to_heap) std::ranges::push_heap(memory.candidates, goes_after);
}

void Bpe::merge(BpeMemory& memory) const {
    constexpr TokenId removed = -1;
    auto& symbols = memory.symbols;
    auto& candidates = memory.candidates;
    candidates.clear();
    for (std::size_t i = 0; i < symbols.size(); ++i)
        add_candidate(memory, static_cast<std::int32_t>(i), false);
    std::ranges::make_heap(candidates, goes_after);
    while (!candidates.empty()) {
        std::ranges::pop_heap(candidates, goes_after);
        const BpeMemory::Candidate best = candidates.back();
        candidates.pop_back();
        ++memory.num_candidates;
        BpeMemory::Symbol& left = symbols[static_cast<std::size_t>(best.left)];
        if (left.token == removed || left.next < 0) continue;
        BpeMemory::Symbol& right = symbols[static_cast<std::size_t>(left.next)];
        // An older merge may have changed one of the two symbols since.
        const auto found = merges_.find(pair_key(left.token, right.token));
        if (found == merges_.end() || found->second.token != best.token) continue;
        left.token = best.token;
        left.next = right.next;
        right.token = removed;
        if (right.next >= 0) symbols[static_cast<std::size_t>(right.next)].previous = best.left;
        if (left.previous >= 0) add_candidate(memory, left.previous, true);
        add_candidate(memory, best.left, true);
    }
}

}  // namespace solard
