// What a tokenizer.json and the files beside it may say, and how anything else is refused.
#include <algorithm>
#include <boost/json.hpp>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <random>

#include "inference/model/tokenizer.hpp"
#include "tests/support/check_refused.hpp"
#include "tests/support/model_folder.hpp"

namespace solard {
namespace {

namespace json = boost::json;

using Ids = std::vector<TokenId>;
constexpr EncodeOptions bare{.add_special_tokens = false, .parse_special = false};
constexpr EncodeOptions parse_special{.add_special_tokens = false, .parse_special = true};
constexpr std::int32_t vocab_size = 300;

constexpr TokenId bos = 1, eos = 2, first_byte = 3, space = 259, a = 260, b = 261, ab = 262, space_a = 263,
                  word = 264, markup = 265;

// A tokenizer.json as transformers 5 writes it for a SentencePiece model, with a few pieces and two added
// tokens.
json::value byte_fallback_file() {
    json::value file = json::parse(R"({"version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [
            {"id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 264, "content": "word", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false},
            {"id": 265, "content": "<|m|>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": false}],
        "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": false},
        "post_processor": {"type": "TemplateProcessing", "single": [
            {"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], "pair": [],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": {"<unk>": 0, "<s>": 1, "</s>": 2}, "merges": [["a", "b"], ["▁", "a"]]}})");
    auto& vocabulary = file.at("model").at("vocab").as_object();
    for (unsigned byte = 0; byte < 256; ++byte) {
        char text[8];
        std::snprintf(text, sizeof(text), "<0x%02X>", byte);
        vocabulary.emplace(text, vocabulary.size());
    }
    for (const auto* text : {"▁", "a", "b", "ab", "▁a"}) vocabulary.emplace(text, vocabulary.size());
    return file;
}

// A byte-level tokenizer.json with the letters and the space of ByteLevel's alphabet.
json::value byte_level_file() {
    return json::parse(R"({"version": "1.0",
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġa": 4, "Ġab": 5},
            "merges": ["a b", "Ġ a"]}})");
}

// Returns the file with one value changed. `path` names the value by keys and indices, each after a slash; a
// key that does not exist is added.
json::value changed(json::value file, std::string_view path, std::string_view value) {
    json::value* place = &file;
    while (!path.empty()) {
        path.remove_prefix(1);
        const std::string key(path.substr(0, path.find('/')));
        path.remove_prefix(key.size());
        place = place->is_array() ? &place->as_array().at(std::stoul(key)) : &place->as_object()[key];
    }
    *place = json::parse(value);
    return file;
}

result<Tokenizer> load(const json::value& file, std::string_view config = "{}") {
    const ModelFolder folder;
    folder.write_text("tokenizer.json", json::serialize(file));
    folder.write_text("tokenizer_config.json", config);
    return Tokenizer::load(folder.path(), vocab_size);
}

// Loads a folder with byte_fallback_file() and one more file.
result<Tokenizer> load_with(std::string_view name, std::string_view text) {
    const ModelFolder folder;
    folder.write_text("tokenizer.json", json::serialize(byte_fallback_file()));
    folder.write_text(name, text);
    return Tokenizer::load(folder.path(), vocab_size);
}

Ids encode(const result<Tokenizer>& tokenizer, std::string_view text, EncodeOptions options = bare) {
    require_accepted(tokenizer);
    return tokenizer->encode(text, options).value();
}

struct Refusal {
    std::string_view path;
    std::string_view value;
    std::string_view named;  // the key or the value that the message names
};

void check_refusals(const json::value& file, std::initializer_list<Refusal> refusals) {
    for (const Refusal& refusal : refusals) {
        BOOST_TEST_CONTEXT(refusal.path << " = " << refusal.value) {
            check_refused(load(changed(file, refusal.path, refusal.value)),
                          {"tokenizer.json: ", refusal.named});
        }
    }
}

BOOST_AUTO_TEST_SUITE(tokenizer_json)

BOOST_AUTO_TEST_CASE(byte_fallback_merges_by_rank) {
    const auto tokenizer = load(byte_fallback_file());
    BOOST_TEST(encode(tokenizer, "ab") == Ids{ab});
    BOOST_TEST(encode(tokenizer, " ab") == (Ids{space, ab}));
    BOOST_TEST(encode(tokenizer, " aab") == (Ids{space_a, ab}));
    BOOST_TEST(encode(tokenizer, "\xC3\xA9") == (Ids{first_byte + 0xC3, first_byte + 0xA9}));
    BOOST_TEST(encode(tokenizer, "a", {}) == (Ids{bos, a}));
    BOOST_TEST(encode(tokenizer, "").empty());
    BOOST_TEST(tokenizer->vocab_size() == 266);
    BOOST_TEST(tokenizer->longest_piece_bytes() == 5U);  // <|m|>
}

BOOST_AUTO_TEST_CASE(bytes_that_are_not_utf8_count_as_replacement_characters) {
    const auto tokenizer = load(byte_fallback_file());
    BOOST_TEST(encode(tokenizer, "a\xFF") == encode(tokenizer, "a\xEF\xBF\xBD"));
}

BOOST_AUTO_TEST_CASE(merges_may_be_strings_or_pairs) {
    const auto strings = load(changed(byte_fallback_file(), "/model/merges", R"(["a b", "▁ a"])"));
    BOOST_TEST(encode(strings, " aab") == (Ids{space_a, ab}));
}

BOOST_AUTO_TEST_CASE(whole_words_come_before_merges_with_ignore_merges) {
    BOOST_TEST(encode(load(byte_level_file()), " ab") == (Ids{2, 3}));
    BOOST_TEST(encode(load(changed(byte_level_file(), "/model/ignore_merges", "true")), " ab") == Ids{5});
}

BOOST_AUTO_TEST_CASE(unknown_characters_are_fused_or_left_out) {
    auto file = changed(byte_fallback_file(), "/model/byte_fallback", "false");
    BOOST_TEST(encode(load(file), "axyb") == (Ids{a, 0, b}));
    file = changed(file, "/model/fuse_unk", "false");
    BOOST_TEST(encode(load(file), "axyb") == (Ids{a, 0, 0, b}));
    file = changed(file, "/model/unk_token", "null");
    BOOST_TEST(encode(load(file), "axyb") == Ids{ab});
}

BOOST_AUTO_TEST_CASE(older_metaspace_without_a_scheme_is_read) {
    for (const bool adds : {true, false}) {
        const auto file = changed(
            byte_fallback_file(), "/pre_tokenizer",
            std::string(R"({"type": "Metaspace", "replacement": "▁", "split": false, "add_prefix_space": )") +
                (adds ? "true}" : "false}"));
        BOOST_TEST(encode(load(file), "b") == (adds ? Ids{space, b} : Ids{b}));
    }
}

BOOST_AUTO_TEST_CASE(special_tokens_are_recognised_only_if_asked_for) {
    const auto tokenizer = load(byte_fallback_file());
    BOOST_TEST(encode(tokenizer, "a<s>b", parse_special) == (Ids{a, bos, b}));
    BOOST_TEST(encode(tokenizer, "<|m|>", parse_special) == Ids{markup});
    // A token in brackets is markup even if it is not marked as special.
    for (const auto* text : {"<s>", "<|m|>"}) {
        const Ids ids = encode(tokenizer, text);
        BOOST_TEST(ids.size() == std::string_view(text).size());
        BOOST_TEST(tokenizer->decode(ids) == text);
    }
    BOOST_TEST(encode(tokenizer, "aword") == (Ids{a, word}));
}

BOOST_AUTO_TEST_CASE(only_trusted_characters_form_markup) {
    for (const auto* normalizer :
         {"null", R"({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})"}) {
        for (const auto* is_normalized : {"false", "true"}) {
            auto file = changed(byte_fallback_file(), "/added_tokens/2/content", R"("<|a b|>")");
            file = changed(file, "/added_tokens/2/normalized", is_normalized);
            const auto tokenizer = load(changed(file, "/normalizer", normalizer));
            require_accepted(tokenizer);
            const auto num_markup = [&](const MarkedText& text) {
                return std::ranges::count(tokenizer->encode_chat(text).value(), markup);
            };
            const std::string token = "<|a b|>";
            MarkedText gap("<|a", Trust::trusted);
            gap.append(" ", Trust::untrusted);  // the character that the normalizer replaces
            gap.append("b|>", Trust::trusted);
            BOOST_TEST(num_markup(gap) == 0);
            for (std::size_t cut = 0; cut <= token.size(); ++cut) {
                MarkedText text(token.substr(0, cut), Trust::trusted);
                text.append(token.substr(cut), Trust::untrusted);
                BOOST_TEST(num_markup(text) == (cut == token.size() ? 1 : 0), cut);
                MarkedText between(" " + token, Trust::untrusted);
                between.append(token.substr(0, cut), Trust::trusted);
                between.append(token.substr(cut), Trust::trusted);
                between.append(token + " ", Trust::untrusted);
                BOOST_TEST(num_markup(between) == 1);
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(merges_do_not_lead_to_markup) {
    auto file = changed(byte_fallback_file(), "/added_tokens/2/content", R"("<ab>")");
    for (const auto& [text, id] :
         {std::pair("<", 266), std::pair(">", 267), std::pair("<ab", 268), std::pair("<ab>", 265)})
        file.at("model").at("vocab").as_object()[text] = id;
    file.at("model").at("merges") = json::parse(R"([["a", "b"], ["<", "ab"], ["<ab", ">"]])");
    for (const auto* ignores_merges : {"false", "true"}) {
        const auto tokenizer = load(changed(file, "/model/ignore_merges", ignores_merges));
        BOOST_TEST(encode(tokenizer, "<ab>") == (Ids{268, 267}));
        BOOST_TEST(encode(tokenizer, "<ab>", parse_special) == Ids{markup});
    }
}

BOOST_AUTO_TEST_CASE(conversation_has_the_first_tokens_once_and_no_last_token) {
    const auto tokenizer =
        load(byte_fallback_file(),
             R"({"add_bos_token": true, "add_eos_token": true, "bos_token": "<s>", "eos_token": "</s>"})");
    require_accepted(tokenizer);
    const MarkedText plain("a", Trust::trusted);
    const MarkedText with_bos("<s>a", Trust::trusted);
    const MarkedText typed_bos("<s>a", Trust::untrusted);
    BOOST_TEST(tokenizer->encode("a", {}).value() == (Ids{bos, a, eos}));
    BOOST_TEST(tokenizer->encode_chat(plain).value() == (Ids{bos, a}));
    BOOST_TEST(tokenizer->encode_chat(with_bos).value() == (Ids{bos, a}));
    BOOST_TEST(tokenizer->encode_chat(typed_bos).value().front() == bos);
    BOOST_TEST(tokenizer->encode_chat(typed_bos).value().size() > 3U);
    BOOST_TEST(tokenizer->encode_chat(plain, false).value() == Ids{a});
    BOOST_TEST(tokenizer->encode_chat(with_bos, false).value() == (Ids{bos, a}));
    BOOST_TEST(tokenizer->encode_chat({}).value() == Ids{bos});
}

BOOST_AUTO_TEST_CASE(special_tokens_are_decoded_only_if_asked_for) {
    const auto tokenizer = load(byte_fallback_file());
    require_accepted(tokenizer);
    const Ids ids = {bos, space_a, word, markup, bos};
    BOOST_TEST(tokenizer->decode(ids) == "aword<|m|>");
    BOOST_TEST(tokenizer->decode(ids, false) == "<s> aword<|m|><s>");
    BOOST_TEST(tokenizer->bytes_of(bos) == "");
    BOOST_TEST(tokenizer->bytes_of(bos, false) == "<s>");
    BOOST_TEST(tokenizer->bytes_of(markup) == "<|m|>");
}

BOOST_AUTO_TEST_CASE(white_space_beside_a_token_is_taken_if_the_token_says_so) {
    auto file = changed(byte_fallback_file(), "/added_tokens/2/lstrip", "true");
    file = changed(file, "/added_tokens/2/rstrip", "true");
    BOOST_TEST(encode(load(file), "a \n\u3000<|m|>\t  b<|m|> ", parse_special) ==
               (Ids{a, markup, b, markup}));
}

BOOST_AUTO_TEST_CASE(single_word_is_not_found_within_a_word) {
    const auto tokenizer = load(changed(byte_fallback_file(), "/added_tokens/1/single_word", "true"));
    const auto found = [&](std::string_view text) {
        return std::ranges::count(encode(tokenizer, text), word);
    };
    for (const auto* text : {"word", "a word b", "(word)", "word-word", "½word½"})
        BOOST_TEST(found(text) > 0, text);
    for (const auto* text : {"words", "aword", "_word", "éword", "word١", "word\u0301", "한word"})
        BOOST_TEST(found(text) == 0, text);
}

BOOST_AUTO_TEST_CASE(longest_added_token_is_found) {
    const auto tokenizer = load_with("added_tokens.json", R"({"aa": 270, "aab": 271, "b": 261, "aaa": 272})");
    BOOST_TEST(encode(tokenizer, "aabaaab") == (Ids{271, 272, b}));
}

BOOST_AUTO_TEST_CASE(tokens_are_read_from_every_file) {
    const auto is_special = [](const result<Tokenizer>& tokenizer, TokenId id, const std::string& text) {
        require_accepted(tokenizer);
        BOOST_TEST(encode(tokenizer, text, parse_special) == Ids{id});
        BOOST_TEST(tokenizer->bytes_of(id) == "");
        BOOST_TEST(tokenizer->bytes_of(id, false) == text);
    };
    is_special(load_with("tokenizer_config.json",
                         R"({"added_tokens_decoder": {"270": {"content": "<x>", "special": true}}})"),
               270, "<x>");
    // A name of the vocabulary becomes a special token.
    is_special(load_with("tokenizer_config.json", R"({"eos_token": "</s>"})"), eos, "</s>");
    is_special(load_with("special_tokens_map.json", R"({"eos_token": {"content": "</s>"}})"), eos, "</s>");
    is_special(load_with("special_tokens_map.json", R"({"additional_special_tokens": ["ab"]})"), ab, "ab");
    is_special(load_with("tokenizer_config.json", R"({"extra_special_tokens": {"tail": "ab"}})"), ab, "ab");
    const auto added = load_with("added_tokens.json", R"({"xyz": 270})");
    BOOST_TEST(encode(added, "axyz") == (Ids{a, 270}));
    BOOST_TEST(added->bytes_of(270) == "xyz");
    // A name that no id belongs to is unknown to the model.
    require_accepted(load_with("tokenizer_config.json", R"({"pad_token": "[PAD]", "sep_token": null})"));
}

BOOST_AUTO_TEST_CASE(flags_in_tokenizer_config_replace_those_in_tokenizer_json) {
    const auto tokenizer = load_with(
        "tokenizer_config.json",
        R"({"added_tokens_decoder": {"264": {"content": "word", "special": true, "normalized": false}}})");
    require_accepted(tokenizer);
    BOOST_TEST(tokenizer->bytes_of(word) == "");
}

BOOST_AUTO_TEST_CASE(token_that_the_model_does_not_have_is_refused_in_a_text) {
    const auto tokenizer = load_with("added_tokens.json", R"({"[PAD]": 300, "last": 299})");
    BOOST_TEST(encode(tokenizer, "[PAD]").size() == 5U);
    BOOST_TEST(encode(tokenizer, "last") == Ids{299});
    BOOST_TEST(tokenizer->vocab_size() == 300);
    check_refused(tokenizer->encode("a[PAD]", parse_special), {"300"}, errc::invalid_request);
}

BOOST_AUTO_TEST_CASE(settings_of_tokenizer_config_decide_on_the_first_and_last_token) {
    const auto ids = [](std::string_view config) {
        return encode(load(byte_fallback_file(), config), "a", {});
    };
    BOOST_TEST(ids(R"({"bos_token": "<s>"})") == (Ids{bos, a}));
    BOOST_TEST(ids(R"({"bos_token": "<s>", "add_bos_token": true})") == (Ids{bos, a}));
    BOOST_TEST(ids(R"({"bos_token": "<s>", "add_bos_token": false})") == Ids{a});
    BOOST_TEST(ids(R"({"eos_token": "</s>", "add_eos_token": true})") == (Ids{a, eos}));
    check_refused(load(byte_fallback_file(), R"({"add_bos_token": true})"),
                  {"tokenizer_config.json: ", "add_bos_token"});
    check_refused(load(byte_fallback_file(), R"({"add_bos_token": 1})"),
                  {"tokenizer_config.json: ", "add_bos_token"});
}

BOOST_AUTO_TEST_CASE(template_without_bos_adds_none) {
    auto file = changed(byte_fallback_file(), "/post_processor/single",
                        R"([{"Sequence": {"id": "A", "type_id": 0}}])");
    BOOST_TEST(encode(load(file), "a", {}) == Ids{a});
    file = changed(file, "/post_processor", "null");
    BOOST_TEST(encode(load(file), "a", {}) == Ids{a});
}

BOOST_AUTO_TEST_CASE(what_is_not_supported_is_refused_by_name) {
    check_refusals(byte_fallback_file(),
                   {
                       {"/version", R"("2.0")", "version"},
                       {"/other", "1", "other"},
                       {"/normalizer", R"({"type": "NFC"})", "normalizer.type"},
                       {"/normalizer", R"({"type": "Sequence", "normalizers": [{"type": "Lowercase"}]})",
                        "normalizer.normalizers[0].type"},
                       {"/normalizer", R"({"type": "Replace", "pattern": {"Regex": "a"}, "content": ""})",
                        "normalizer.pattern"},
                       {"/normalizer", R"({"type": "Prepend", "prepend": "a", "x": 1})", "normalizer.x"},
                       {"/normalizer", "[]", "normalizer"},
                       {"/pre_tokenizer/type", R"("Whitespace")", "pre_tokenizer.type"},
                       {"/pre_tokenizer/split", "true", "pre_tokenizer.split"},
                       {"/pre_tokenizer/prepend_scheme", R"("sometimes")", "pre_tokenizer.prepend_scheme"},
                       {"/post_processor/type", R"("BertProcessing")", "post_processor.type"},
                       {"/post_processor/single", "[]", "post_processor.single"},
                       {"/post_processor/special_tokens", "{}", "post_processor.special_tokens"},
                       {"/post_processor/special_tokens/<s>/ids", R"(["1"])", "ids"},
                       {"/post_processor/special_tokens/<s>/ids", "[300]", "300"},
                       {"/decoder", "null", "decoder"},
                       {"/decoder", R"({"type": "WordPiece"})", "decoder.type"},
                       {"/decoder", R"({"type": "ByteLevel"})", "decoder"},
                       {"/decoder/decoders/3/start", "2", "decoder.decoders[3].start"},
                       {"/decoder/decoders/3/content", R"("x")", "decoder.decoders[3].content"},
                       {"/decoder/decoders/2/type", R"("Strip")", "decoder.decoders[2].type"},
                       {"/model", "null", "model"},
                       {"/model/type", R"("Unigram")", "model.type"},
                       {"/model/dropout", "0.1", "model.dropout"},
                       {"/model/continuing_subword_prefix", R"("##")", "model.continuing_subword_prefix"},
                       {"/model/end_of_word_suffix", R"("</w>")", "model.end_of_word_suffix"},
                       {"/model/unk_token", R"("missing")", "model.unk_token"},
                       {"/model/fuse_unk", "1", "model.fuse_unk"},
                       {"/model/other", "1", "model.other"},
                       {"/model/vocab", "[]", "model.vocab"},
                       {"/model/vocab/a", "300", R"(model.vocab["a"])"},
                       {"/model/vocab/a", "-1", R"(model.vocab["a"])"},
                       {"/model/vocab/a", "1.5", R"(model.vocab["a"])"},
                       {"/model/vocab/a", "2", R"("</s>")"},
                       {"/model/merges", "{}", "model.merges"},
                       {"/model/merges/0", R"(["a", "x"])", "model.merges[0]"},
                       {"/model/merges/0", R"(["b", "a"])", "model.merges[0]"},
                       {"/model/merges/0", R"("ab")", "model.merges[0]"},
                       {"/model/merges/0", R"("a b b")", "model.merges[0]"},
                       {"/model/merges/0", "7", "model.merges[0]"},
                       {"/added_tokens", "{}", "added_tokens"},
                       {"/added_tokens/0", "1", "added_tokens"},
                       {"/added_tokens/0/id", "-1", "added_tokens[0].id"},
                       {"/added_tokens/0/id", "5", "<s>"},
                       {"/added_tokens/1/id", "260", "added_tokens[1]"},
                       {"/added_tokens/1/content", R"("")", "added_tokens[1]"},
                       {"/added_tokens/1/id", "16777216", "added_tokens[1]"},
                       {"/added_tokens/1/other", "1", "added_tokens[1].other"},
                   });
    auto file = byte_fallback_file();
    file.at("model").at("vocab").as_object().erase("<0x41>");
    check_refused(load(file), {"tokenizer.json: ", "byte_fallback", "<0x41>"});
}

BOOST_AUTO_TEST_CASE(what_byte_level_does_not_support_is_refused_by_name) {
    require_accepted(load(byte_level_file()));
    check_refusals(
        byte_level_file(),
        {
            {"/decoder", R"({"type": "Sequence", "decoders": [{"type": "Fuse"}]})", "decoder"},
            {"/model/byte_fallback", "true", "model.byte_fallback"},
            {"/pre_tokenizer/use_regex", "1", "pre_tokenizer.use_regex"},
            {"/pre_tokenizer",
             R"({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "Digits"}]})",
             "pre_tokenizer.pretokenizers[1].type"},
            {"/pre_tokenizer", R"({"type": "Sequence", "pretokenizers": [{"type": "Punctuation"}]})",
             "pre_tokenizer.pretokenizers[0].type"},
            {"/pre_tokenizer",
             R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Removed", "invert": false})",
             "pre_tokenizer.behavior"},
            {"/pre_tokenizer", R"({"type": "Split", "pattern": {}, "behavior": "Isolated", "invert": false})",
             "pre_tokenizer.pattern"},
            {"/pre_tokenizer",
             R"({"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated", "invert": false})",
             "pre_tokenizer.pattern.Regex"},
            {"/pre_tokenizer",
             R"({"type": "Split", "pattern": {"Regex": "\\bx"}, "behavior": "Isolated", "invert": false})",
             "pre_tokenizer.pattern.Regex"},
        });
}

BOOST_AUTO_TEST_CASE(conflicting_files_are_refused) {
    check_refused(load_with("added_tokens.json", R"({"word": 270})"),
                  {"added_tokens.json: ", "word", "270", "264"});
    check_refused(load_with("added_tokens.json", R"({"other": 264})"),
                  {"added_tokens.json: ", "other", "word"});
    check_refused(load_with("added_tokens.json", R"({"other": "264"})"), {"added_tokens.json: ", "other"});
    check_refused(load_with("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "y"}}})"),
                  {"tokenizer_config.json: ", "added_tokens_decoder"});
    check_refused(
        load_with("tokenizer_config.json", R"({"added_tokens_decoder": {"270": {"content": "y", "z": 1}}})"),
        {"tokenizer_config.json: ", "added_tokens_decoder.270.z"});
    check_refused(load_with("special_tokens_map.json", R"({"bos_token": 1})"),
                  {"special_tokens_map.json: ", "bos_token"});
    check_refused(load_with("special_tokens_map.json", R"({"additional_special_tokens": "x"})"),
                  {"special_tokens_map.json: ", "additional_special_tokens"});
    check_refused(load_with("added_tokens.json", "[]"), {"added_tokens.json: "});
    check_refused(load_with("tokenizer.json", "{"), {"tokenizer.json: "});
}

BOOST_AUTO_TEST_CASE(damaged_file_is_refused_or_usable) {
    const ModelFolder folder;
    std::mt19937 chance(3);
    for (const json::value& file : {byte_fallback_file(), byte_level_file()}) {
        const std::string whole = json::serialize(file);
        int accepted = 0;
        for (int i = 0; i < 2000; ++i) {
            std::string damaged = whole;
            for (auto changes = chance() % 3 + 1; changes > 0; --changes) {
                const std::size_t place = chance() % damaged.size();
                switch (chance() % 3) {
                    case 0:
                        damaged[place] = "0129[]{},:\"xa-"[chance() % 14];
                        break;
                    case 1:
                        damaged.erase(place, chance() % 20 + 1);
                        break;
                    default:
                        damaged.insert(place, whole.substr(chance() % whole.size(), chance() % 40));
                }
            }
            folder.write_text("tokenizer.json", damaged);
            const auto tokenizer = Tokenizer::load(folder.path(), vocab_size);
            if (!tokenizer) {
                check_refused(tokenizer, {"tokenizer.json: "});
                continue;
            }
            ++accepted;
            const auto ids = tokenizer->encode(" ab<s>word \xC3\xA9<|m|>", parse_special);
            if (ids) (void)tokenizer->decode(*ids);
        }
        BOOST_TEST(accepted > 0);
    }
}

BOOST_AUTO_TEST_CASE(tokenizer_json_wins_over_tokenizer_model) {
    const auto tokenizer = load_with("tokenizer.model", "this is not read");
    BOOST_TEST(encode(tokenizer, "ab") == Ids{ab});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
