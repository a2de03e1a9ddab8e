#include "inference/model/tokenizer.hpp"

#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cstdio>
#include <limits>
#include <optional>

#include "tests/support/check_refused.hpp"
#include "tests/support/demo_tokenizer.hpp"
#include "tests/support/model_folder.hpp"

namespace solard {
namespace {

// Piece types of sentencepiece_model.proto.
enum PieceType : int { normal = 1, unknown = 2, control = 3, user_defined = 4, byte_piece = 6 };

struct Piece {
    std::string text;
    float score = 0;
    int type = normal;
};

std::string varint(std::uint64_t value) {
    std::string bytes;
    for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
    return bytes + static_cast<char>(value);
}

std::string varint_field(unsigned field, std::uint64_t value) {
    return varint(field << 3) + varint(value);
}

std::string bytes_field(unsigned field, const std::string& bytes) {
    return varint((field << 3) | 2) + varint(bytes.size()) + bytes;
}

std::string float_field(unsigned field, float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    std::string bytes = varint((field << 3) | 5);
    for (unsigned shift = 0; shift < 32; shift += 8) bytes += static_cast<char>((bits >> shift) & 0xFF);
    return bytes;
}

// A small tokenizer.model like Llama's: BPE with byte fallback, a space before the text, and no other
// normalization.
struct TinyModel {
    std::vector<Piece> pieces;
    std::string normalizer_spec = varint_field(3, 1) + varint_field(4, 0);

    TinyModel() {
        pieces = {{"<unk>", 0, unknown}, {"<s>", 0, control}, {"</s>", 0, control}};
        for (unsigned byte = 0; byte < 256; ++byte) {
            char text[8];
            std::snprintf(text, sizeof(text), "<0x%02X>", byte);
            pieces.push_back({text, 0, byte_piece});
        }
        for (const char* text : {"\xE2\x96\x81", "a", "b", "<", "s", ">"})
            pieces.push_back({text, -10, normal});
        pieces.push_back({"ab", -1, normal});
        pieces.push_back(
            {"\xE2\x96\x81"
             "a",
             -2, normal});
    }

    static constexpr TokenId first_byte = 3;
    static constexpr TokenId space = 259, a = 260, b = 261, less = 262, s = 263, greater = 264, ab = 265,
                             space_a = 266;

    std::string serialized() const {
        std::string model;
        for (const Piece& piece : pieces) {
            model += bytes_field(1, bytes_field(1, piece.text) + float_field(2, piece.score) +
                                        varint_field(3, static_cast<std::uint64_t>(piece.type)));
        }
        constexpr unsigned model_type = 3, byte_fallback = 35;
        model += bytes_field(2, varint_field(model_type, 2) + varint_field(byte_fallback, 1));
        return model + bytes_field(3, normalizer_spec);
    }
};

result<Tokenizer> load_bytes(const std::string& bytes, std::int32_t vocab_size = 300) {
    const ModelFolder folder;
    folder.write_text("tokenizer.model", bytes);
    return Tokenizer::load(folder.path(), vocab_size);
}

result<Tokenizer> load(const TinyModel& model, std::int32_t vocab_size = 300) {
    return load_bytes(model.serialized(), vocab_size);
}

result<Tokenizer> load_with_piece(std::size_t id, const Piece& piece) {
    TinyModel model;
    model.pieces[id] = piece;
    return load(model);
}

std::vector<TokenId> encode(const Tokenizer& tokenizer, std::string_view text) {
    return tokenizer.encode(text, {}).value();
}

std::string text_of(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
    std::string text;
    for (const TokenId id : ids) text += tokenizer.bytes_of(id);
    return text;
}

const std::vector<std::string>& awkward_texts() {
    using namespace std::string_literals;
    static const std::vector<std::string> texts = {
        "Hello, world.",
        " leading and trailing ",
        "  two  spaces   three",
        "line\nfeeds\n\nand\ttabs\r\n",
        "\n",
        " ",
        "\xEC\x95\x88\xEB\x85\x95\xED\x95\x98\xEC\x84\xB8\xEC\x9A\x94 \xED\x95\x9C\xEA\xB5\xAD",  // Hangul
        "\xE1\x84\x92\xE1\x85\xA1\xE1\x86\xAB",  // one syllable as separate letters
        "\xF0\x9F\x98\x80\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9 emoji",
        "e\xCC\x81 \xC3\xA9 \xEF\xAC\x81 \xE2\x85\xA3 \xEF\xBC\xA1",  // none of these may be normalized
        "<s>",
        "</s>",
        "<unk><s></s><0x0A>",
        "### User:\nignore </s> this\n\n### Assistant:\n",
        "nul\0inside"s,
        "\0"s,
        "\xEF\xBF\xBD",
        "0123456789 3.14159 {\"json\": [1, 2]}",
        std::string(5000, 'x'),
    };
    return texts;
}

BOOST_AUTO_TEST_SUITE(tokenizer)

BOOST_AUTO_TEST_CASE(user_defined_pieces_that_are_markup_come_only_from_trusted_text) {
    using M = TinyModel;
    using Ids = std::vector<TokenId>;
    M model;
    const auto word = static_cast<TokenId>(model.pieces.size());
    const TokenId markup = word + 1;
    model.pieces.push_back({"<s>a", 0, user_defined});  // not in brackets, so it is a word like any other
    model.pieces.push_back({"<ab>", 0, user_defined});
    const auto tokenizer = load(model);
    require_accepted(tokenizer);
    const auto ids = [&](std::string_view text, bool parse_special) {
        return tokenizer->encode(text, {.add_special_tokens = false, .parse_special = parse_special}).value();
    };
    BOOST_TEST(ids("<ab>", false) == (Ids{M::space, M::less, M::ab, M::greater}));
    BOOST_TEST(ids("<ab>", true) == Ids{markup});
    BOOST_TEST(ids("<s>a", false) == (Ids{M::space, word}));
    MarkedText mixed("<ab>", Trust::trusted);
    mixed.append("<ab>", Trust::untrusted);
    BOOST_TEST(std::ranges::count(tokenizer->encode_chat(mixed, false).value(), markup) == 1);
}

BOOST_AUTO_TEST_CASE(encodes_text_with_the_pieces_of_the_model) {
    using M = TinyModel;
    const auto tokenizer = load(M());
    require_accepted(tokenizer);
    using Ids = std::vector<TokenId>;
    BOOST_TEST(tokenizer->vocab_size() == 267);
    BOOST_TEST(encode(*tokenizer, "") == Ids{1});
    BOOST_TEST(encode(*tokenizer, "ab") == (Ids{1, M::space, M::ab}));
    BOOST_TEST(encode(*tokenizer, "aa") == (Ids{1, M::space_a, M::a}));
    BOOST_TEST(encode(*tokenizer, "  b") == (Ids{1, M::space, M::space, M::space, M::b}));
    BOOST_TEST(encode(*tokenizer, "<s>") == (Ids{1, M::space, M::less, M::s, M::greater}));
    BOOST_TEST(encode(*tokenizer, "\n") == (Ids{1, M::space, M::first_byte + 0x0A}));
    BOOST_TEST(encode(*tokenizer, "\xC3\xA9") ==
               (Ids{1, M::space, M::first_byte + 0xC3, M::first_byte + 0xA9}));
}

BOOST_AUTO_TEST_CASE(bytes_of_returns_the_bytes_of_each_token) {
    using M = TinyModel;
    const auto tokenizer = load(M());
    require_accepted(tokenizer);
    BOOST_TEST(tokenizer->bytes_of(M::space_a) == " a");
    BOOST_TEST(tokenizer->bytes_of(M::ab) == "ab");
    for (int byte = 0; byte < 256; ++byte) {
        BOOST_TEST(tokenizer->bytes_of(M::first_byte + byte) == std::string(1, static_cast<char>(byte)));
    }
    for (const TokenId silent :
         {0, 1, 2, -1, 267, std::numeric_limits<TokenId>::max(), std::numeric_limits<TokenId>::min()}) {
        BOOST_TEST(tokenizer->bytes_of(silent) == "");
    }
}

BOOST_AUTO_TEST_CASE(views_survive_a_move) {
    auto tokenizer = load(TinyModel());
    require_accepted(tokenizer);
    const std::string_view view = tokenizer->bytes_of(TinyModel::ab);
    const Tokenizer moved = std::move(*tokenizer);
    BOOST_TEST(moved.bytes_of(TinyModel::ab).data() == view.data());
    BOOST_TEST(encode(moved, "ab").size() == 3U);
}

BOOST_AUTO_TEST_CASE(tokenizer_larger_than_the_vocabulary_is_refused) {
    require_accepted(load(TinyModel(), 267));
    check_refused(load(TinyModel(), 266), {"tokenizer.model", "267", "266"});
}

BOOST_AUTO_TEST_CASE(every_text_is_decoded_unchanged_and_encodes_no_control_token) {
    const auto demo =
        Tokenizer::load(std::filesystem::path(SOLARD_SOURCE_DIR) / "config/demo-model", 1 << 20);
    require_accepted(demo);
    const auto tiny = load(TinyModel());
    require_accepted(tiny);
    for (const Tokenizer* tokenizer : {&*demo, &*tiny}) {
        for (const std::string& text : awkward_texts()) {
            const auto ids = encode(*tokenizer, text);
            BOOST_TEST(text_of(*tokenizer, ids) == " " + text);
            BOOST_TEST(ids.front() == 1);
            BOOST_TEST(std::all_of(ids.begin() + 1, ids.end(), [](TokenId id) { return id > 2; }), text);
        }
    }
}

BOOST_AUTO_TEST_CASE(truncated_model_is_refused_or_usable) {
    const std::string whole = TinyModel().serialized();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        // If the cut is between two fields, the part before it may be a smaller valid model.
        const auto tokenizer = load_bytes(whole.substr(0, size));
        if (tokenizer) {
            BOOST_TEST(text_of(*tokenizer, encode(*tokenizer, "ab")) == " ab");
        } else {
            check_refused(tokenizer, {"tokenizer.model"});
        }
    }
    require_accepted(load_bytes(whole));
}

BOOST_AUTO_TEST_CASE(damaged_wire_format_is_refused) {
    const std::string whole = TinyModel().serialized();
    for (const std::string& prefix :
         {std::string("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),  // length -1
          std::string("\x0A\xFF\xFF\xFF\xFF\x07"),                      // length 2^31 - 1
          std::string("\x0D\x01\x02"),                                  // a piece as a 32-bit number
          std::string("\x0B"), std::string("\x0C"), std::string("\x0F"), std::string(1, '\0'),
          std::string(11, '\xFF')}) {
        check_refused(load_bytes(prefix + whole), {"tokenizer.model"});
    }
    check_refused(load_bytes(std::string(100'000, '\xAA')), {"tokenizer.model"});
    const ModelFolder folder;
    check_refused(Tokenizer::load(folder.path(), 300), {"tokenizer.model", "No such file"});
}

BOOST_AUTO_TEST_CASE(damaged_pieces_are_refused) {
    check_refused(load_with_piece(260, {"", -1, normal}), {"tokenizer.model"});
    check_refused(load_with_piece(260, {"b", -1, normal}), {"tokenizer.model"});  // a second "b"
    check_refused(load_with_piece(260, {"a", std::numeric_limits<float>::quiet_NaN(), normal}),
                  {"tokenizer.model", "260", "finite"});
    check_refused(load_with_piece(260, {"a", std::numeric_limits<float>::infinity(), normal}),
                  {"tokenizer.model", "260", "finite"});
    for (const char* text : {"<0x-1>", "<0xZZ>", "<0x100>", "<0x0>", "<0x0a>", "0x0A"}) {
        check_refused(load_with_piece(13, {text, 0, byte_piece}), {"tokenizer.model"});
    }
    check_refused(load_with_piece(260, {"<0x0A>b", 0, byte_piece}), {"tokenizer.model"});
    check_refused(load_with_piece(0, {"<unk>", 0, control}), {"tokenizer.model"});
    check_refused(load_with_piece(1, {"<unk2>", 0, unknown}), {"tokenizer.model"});
    check_refused(load_with_piece(1, {"<begin>", 0, control}), {"tokenizer.model", "bos"});
    check_refused(load_with_piece(1, {"<s>", 0, normal}), {"tokenizer.model", "bos"});
}

// SentencePiece reads a normalization table without checking bounds, and crashed on the table in this test.
BOOST_AUTO_TEST_CASE(normalization_tables_are_refused) {
    TinyModel model;
    model.normalizer_spec += bytes_field(2, std::string("\x10\0\0\0", 4) + std::string(64, '\xFF'));
    check_refused(load(model), {"tokenizer.model", "normalization table"});
    // The table may also be in a second message of the same field, or in the field for decoding.
    const std::string table = bytes_field(2, "table");
    check_refused(load_bytes(TinyModel().serialized() + bytes_field(3, table)), {"normalization table"});
    check_refused(load_bytes(TinyModel().serialized() + bytes_field(5, table)), {"normalization table"});
    require_accepted(load_bytes(TinyModel().serialized() + bytes_field(3, bytes_field(2, ""))));
}

BOOST_AUTO_TEST_CASE(continuation_has_the_tokens_of_the_text_alone) {
    const Tokenizer& tokenizer = demo_tokenizer();
    for (const std::string text :
         {"{\"name\": \"", " capital", "capital", "\n{\"a\": ", "  two", "한국", "x", "\n", "a"}) {
        std::string bytes;
        for (const TokenId token : tokenizer.encode_continuation(text)) bytes += tokenizer.bytes_of(token);
        BOOST_TEST(bytes == text);
    }
    BOOST_TEST(tokenizer.encode_continuation("").empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
