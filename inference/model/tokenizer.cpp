#include "inference/model/tokenizer.hpp"

#include <algorithm>
#include <boost/json/object.hpp>
#include <system_error>
#include <unordered_set>
#include <utility>

#include "inference/model/json_file.hpp"
#include "inference/model/model_file.hpp"
#include "inference/text/detokenizer.hpp"
#include "inference/text/utf8.hpp"
#include "inference/tokenizer/added_token_table.hpp"
#include "inference/tokenizer/bpe_tokenizer.hpp"
#include "inference/tokenizer/object_reader.hpp"
#include "inference/tokenizer/sentence_piece.hpp"

namespace solard {
namespace {

namespace json = boost::json;

constexpr std::uint64_t max_tokenizer_bytes = std::uint64_t{64} << 20;
// The largest id of an added token. The model need not have it: many folders name more tokens than they use.
constexpr TokenId max_added_id = (1 << 24) - 1;

// A JSON file of the folder. A file that does not exist is an empty object.
struct OptionalFile {
    std::filesystem::path path;
    bool exists = false;
    json::object object;
    JsonProblem problem;

    ObjectReader reader() { return {object, "", problem}; }
};

result<OptionalFile> read_optional(const std::filesystem::path& path,
                                   std::uint64_t max_bytes = max_json_file_bytes) {
    OptionalFile file;
    file.path = path;
    std::error_code ec;
    file.exists = std::filesystem::exists(path, ec);
    if (!file.exists) return file;
    auto object = read_json_file(path, max_bytes);
    if (!object) return object.error();
    file.object = *std::move(object);
    return file;
}

}  // namespace

// Reads the files of one folder.
class Tokenizer::Loader {
  public:
    Loader(const std::filesystem::path& folder, std::int32_t vocab_size)
        : folder_(folder), vocab_size_(vocab_size) {}

    result<Tokenizer> load() {
        for (auto& [name, file, max_bytes] : {Source{"tokenizer.json", &json_, max_tokenizer_bytes},
                                              Source{"tokenizer_config.json", &config_, max_json_file_bytes},
                                              Source{"special_tokens_map.json", &names_, max_json_file_bytes},
                                              Source{"added_tokens.json", &ids_, max_json_file_bytes}}) {
            auto read = read_optional(folder_ / name, max_bytes);
            if (!read) return read.error();
            *file = *std::move(read);
        }
        tokenizer_.model_vocab_size_ = vocab_size_;
        auto model = json_.exists ? load_json() : load_sentence_piece();
        if (!model) return model.error();
        for (const OptionalFile* file : {&json_, &config_, &names_, &ids_}) {
            if (!file->problem.empty()) return bad_model(file->path, file->problem.clause());
        }
        if (auto usable = check_frame(); !usable) return usable.error();
        for (const Text& text : tokenizer_.bytes_)
            tokenizer_.longest_piece_bytes_ = std::max(tokenizer_.longest_piece_bytes_, text.bytes.size());
        return std::move(tokenizer_);
    }

  private:
    struct Source {
        const char* name;
        OptionalFile* file;
        std::uint64_t max_bytes;
    };

    result<void> load_json() {
        ObjectReader reader = json_.reader();
        auto bpe = std::make_unique<BpeTokenizer>(reader, vocab_size_);
        if (!json_.problem.empty()) return {};
        const Bpe& model = bpe->model();
        for (const std::string& text : model.texts())
            tokenizer_.bytes_.push_back({bpe->decoder().bytes_of(text), false});
        tokenizer_.strips_space_ = bpe->decoder().strips_space();
        AddedTokenTable table(
            {[&model](std::string_view text) { return model.find(text); },
             [&model](TokenId id) {
                 const auto index = static_cast<std::size_t>(id);
                 return index < model.texts().size() ? std::string_view(model.texts()[index]) : "";
             },
             false},
            max_added_id);
        // Markup is cut out of trusted text before the model sees it, and must not come from other text.
        bpe->forget(add_tokens(table, bpe->decoder(), bpe->normalizer()));
        tokenizer_.frame_ = bpe->frame();
        read_frame(table.named("bos_token"), table.named("eos_token"));
        tokenizer_.encoder_ = std::move(bpe);
        return {};
    }

    result<void> load_sentence_piece() {
        const std::filesystem::path file = folder_ / "tokenizer.model";
        const auto bytes = read_model_file(file, max_tokenizer_bytes);
        if (!bytes) return bytes.error();
        const DummyPrefix prefix = dummy_prefix();
        auto read = SentencePiece::read(*bytes, vocab_size_, prefix);
        if (!read) return bad_model(file, read.error().message);
        const SentencePiece& pieces = **read;
        for (TokenId id = 0; id < pieces.num_pieces(); ++id)
            tokenizer_.bytes_.push_back({pieces.bytes_of(id), false});
        tokenizer_.strips_space_ = prefix != DummyPrefix::none;
        tokenizer_.bos_ = pieces.bos();
        AddedTokenTable table({[&pieces](std::string_view text) { return pieces.find(text); },
                               [&pieces](TokenId id) { return pieces.text_of(id); }, true},
                              max_added_id);
        for (const TokenId id : pieces.special_pieces())
            table.add_special(std::string(pieces.text_of(id)), id);
        add_tokens(table, TokenDecoder::of_sentence_piece(), Normalizer());
        tokenizer_.frame_.before = {pieces.bos()};
        read_frame(pieces.bos(), pieces.eos() < 0 ? std::nullopt : std::optional(pieces.eos()));
        tokenizer_.encoder_ = std::move(*read);
        return {};
    }

    // Returns where transformers puts a space before text that SentencePiece encodes.
    DummyPrefix dummy_prefix() {
        ObjectReader config = config_.reader();
        if (config.boolean("legacy", true)) return DummyPrefix::every_piece;
        return config.boolean("add_prefix_space", true) ? DummyPrefix::first_piece : DummyPrefix::none;
    }

    // Returns the tokens that are markup.
    std::unordered_set<TokenId> add_tokens(AddedTokenTable& table, const TokenDecoder& decoder,
                                           const Normalizer& normalizer) {
        ObjectReader json = json_.reader();
        ObjectReader config = config_.reader();
        ObjectReader names = names_.reader();
        table.read_list(json);
        table.read_decoder(config);
        table.read_ids(ids_.object, ids_.problem);
        table.read_names(config);
        table.read_names(names);
        std::vector<AddedToken> tokens = table.take();
        std::unordered_set<TokenId> markup;
        for (const AddedToken& token : tokens) {
            if (token.is_markup) markup.insert(token.id);
            if (token.id >= vocab_size_) continue;
            const auto index = static_cast<std::size_t>(token.id);
            if (tokenizer_.bytes_.size() <= index) tokenizer_.bytes_.resize(index + 1);
            tokenizer_.bytes_[index] = {decoder.bytes_of_added(token.content), token.special};
        }
        tokenizer_.added_ = AddedTokens(std::move(tokens), normalizer);
        return markup;
    }

    // Applies add_bos_token and add_eos_token of tokenizer_config.json. If one of them is there, they decide,
    // and not the post-processor of tokenizer.json.
    void read_frame(std::optional<TokenId> bos, std::optional<TokenId> eos) {
        ObjectReader config = config_.reader();
        const bool is_set =
            config.find("add_bos_token") != nullptr || config.find("add_eos_token") != nullptr;
        if (!is_set) return;
        const auto read = [&](const char* key, std::optional<TokenId> token, bool absent) {
            std::vector<TokenId> tokens;
            if (!config.boolean(key, absent)) return tokens;
            if (token) {
                tokens.push_back(*token);
            } else {
                config.refuse(key, "false, because the folder names no such token");
            }
            return tokens;
        };
        tokenizer_.frame_.before = read("add_bos_token", bos, !json_.exists);
        tokenizer_.frame_.after = read("add_eos_token", eos, false);
    }

    result<void> check_frame() const {
        for (const auto* tokens : {&tokenizer_.frame_.before, &tokenizer_.frame_.after}) {
            for (const TokenId token : *tokens) {
                if (token < vocab_size_) continue;
                return bad_model(json_.path, "puts the token " + std::to_string(token) +
                                                 " before or after every text, expected an id less than " +
                                                 std::to_string(vocab_size_) + " (vocab_size)");
            }
        }
        return {};
    }

    const std::filesystem::path& folder_;
    std::int32_t vocab_size_;
    OptionalFile json_;
    OptionalFile config_;
    OptionalFile names_;
    OptionalFile ids_;
    Tokenizer tokenizer_;
};

result<Tokenizer> Tokenizer::load(const std::filesystem::path& folder, std::int32_t vocab_size) {
    return Loader(folder, vocab_size).load();
}

result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
    std::vector<TokenId> ids;
    if (options.add_special_tokens) ids = frame_.before;
    const MarkedText marked(valid_utf8(text), options.parse_special ? Trust::trusted : Trust::untrusted);
    if (auto appended = append_tokens(marked, ids); !appended) return appended.error();
    if (options.add_special_tokens) ids.insert(ids.end(), frame_.after.begin(), frame_.after.end());
    return ids;
}

result<std::vector<TokenId>> Tokenizer::encode_chat(const MarkedText& text, bool add_special_tokens) const {
    std::vector<TokenId> ids;
    if (auto appended = append_tokens(text, ids); !appended) return appended.error();
    const bool is_complete =
        !add_special_tokens || std::ranges::mismatch(frame_.before, ids).in1 == frame_.before.end();
    if (!is_complete) ids.insert(ids.begin(), frame_.before.begin(), frame_.before.end());
    return ids;
}

// A tokenizer may put a space before every text, so the text is encoded behind another one that has tokens of
// its own: a line break or, because line breaks are joined, a letter.
std::vector<TokenId> Tokenizer::encode_continuation(std::string_view text) const {
    for (const std::string before : {"\n", "a"}) {
        const std::string whole = before + std::string(text);
        const std::vector<TextPiece> pieces{{whole, -1, true}};
        std::vector<TokenId> ids;
        if (!encoder_->encode(pieces, ids)) return {};
        std::string seen;
        for (auto token = ids.begin(); token != ids.end() && seen.size() <= before.size(); ++token) {
            seen += bytes_of(*token);
            if (seen == before || seen == " " + before) return {std::next(token), ids.end()};
        }
    }
    return {};
}

result<void> Tokenizer::append_tokens(const MarkedText& text, std::vector<TokenId>& ids) const {
    const AddedTokens::Pieces pieces = added_.split(text);
    for (const TextPiece& piece : pieces.list) {
        if (piece.token < model_vocab_size_) continue;
        return Error{errc::invalid_request,
                     "The text contains an added token whose id " + std::to_string(piece.token) +
                         " the model does not have (it has " + std::to_string(model_vocab_size_) +
                         " ids); leave that token out."};
    }
    return encoder_->encode(pieces.list, ids);
}

std::string_view Tokenizer::bytes_of(TokenId token, bool skip_special_tokens) const {
    if (token < 0 || token >= vocab_size()) return {};
    const Text& text = bytes_[static_cast<std::size_t>(token)];
    return text.special && skip_special_tokens ? std::string_view() : text.bytes;
}

std::string Tokenizer::decode(std::span<const TokenId> tokens, bool skip_special_tokens) const {
    std::string text;
    Detokenizer detokenizer;
    for (const TokenId token : tokens) detokenizer.append(bytes_of(token, skip_special_tokens), text);
    detokenizer.flush(text);
    return strips_space_ && text.starts_with(' ') ? text.substr(1) : text;
}

}  // namespace solard
