#include "inference/text/detokenizer.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <random>
#include <vector>

namespace solard {
namespace {

constexpr std::string_view fffd = "\xEF\xBF\xBD";

std::string repeated(std::string_view text, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
}

std::string encoded(char32_t c) {
    const auto tail = [&](unsigned shift) { return static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
    if (c < 0x80) return {static_cast<char>(c)};
    if (c < 0x800) return {static_cast<char>(0xC0 | (c >> 6)), tail(0)};
    if (c < 0x10000) return {static_cast<char>(0xE0 | (c >> 12)), tail(6), tail(0)};
    return {static_cast<char>(0xF0 | (c >> 18)), tail(12), tail(6), tail(0)};
}

std::string decoded(const std::vector<std::string_view>& parts) {
    Detokenizer detokenizer;
    std::string out;
    for (const std::string_view part : parts) detokenizer.append(part, out);
    detokenizer.flush(out);
    return out;
}

std::string decoded_bytewise(std::string_view bytes) {
    std::vector<std::string_view> parts;
    for (std::size_t i = 0; i < bytes.size(); ++i) parts.push_back(bytes.substr(i, 1));
    return decoded(parts);
}

// Splits `bytes` into parts; bit i of `cuts` asks for a cut after byte i.
std::vector<std::string_view> split(std::string_view bytes, std::uint32_t cuts) {
    std::vector<std::string_view> parts;
    std::size_t begin = 0;
    for (std::size_t end = 1; end <= bytes.size(); ++end) {
        if (end < bytes.size() && ((cuts >> (end - 1)) & 1) == 0) continue;
        parts.push_back(bytes.substr(begin, end - begin));
        begin = end;
    }
    return parts;
}

void check_every_split(std::string_view bytes, std::string_view expected) {
    BOOST_REQUIRE(!bytes.empty() && bytes.size() <= 16);
    for (std::uint32_t cuts = 0; cuts < (1U << (bytes.size() - 1)); ++cuts) {
        BOOST_REQUIRE_EQUAL(decoded(split(bytes, cuts)), expected);
    }
}

BOOST_AUTO_TEST_SUITE(detokenizer)

BOOST_AUTO_TEST_CASE(whole_characters_are_released_however_they_are_split) {
    for (const std::string_view text :
         {"plain ASCII\n", "\xC3\xA9\xC3\xBC", "\xEC\x95\x88\xEB\x85\x95 a",
          "\xF0\x9F\x98\x80\xF0\x9F\x98\x81", "a\xC3\xA9\xEC\x95\x88\xF0\x9F\x98\x80z",
          "\x7F\xC2\x80\xDF\xBF", "\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF",
          "\xF0\x90\x80\x80\xF4\x8F\xBF\xBF"}) {
        check_every_split(text, text);
    }
    check_every_split({"a\0b", 3}, {"a\0b", 3});
}

BOOST_AUTO_TEST_CASE(every_scalar_value_is_released_unchanged) {
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
        const bool is_surrogate = c >= 0xD800 && c <= 0xDFFF;
        const std::string bytes = encoded(c);
        BOOST_REQUIRE_EQUAL(decoded_bytewise(bytes), is_surrogate ? repeated(fffd, 3) : bytes);
    }
}

// The examples of Unicode 15, section 3.9, tables 3-8 to 3-11.
BOOST_AUTO_TEST_CASE(each_maximal_subpart_becomes_one_replacement) {
    check_every_split("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64",
                      "a" + repeated(fffd, 3) + "b" + repeated(fffd, 1) + "c" + repeated(fffd, 2) + "d");
    check_every_split("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", repeated(fffd, 8) + "A");
    check_every_split("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", repeated(fffd, 8) + "A");
    check_every_split("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42",
                      repeated(fffd, 5) + "A" + repeated(fffd, 2) + "B");
    check_every_split("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", repeated(fffd, 4) + "A");
}

BOOST_AUTO_TEST_CASE(incomplete_tail_is_held_back_until_flush) {
    for (const std::string_view tail : {"\xC3", "\xEC", "\xEC\x95", "\xF0", "\xF0\x9F", "\xF0\x9F\x98"}) {
        Detokenizer detokenizer;
        std::string out;
        detokenizer.append("a", out);
        detokenizer.append(tail, out);
        BOOST_TEST(out == "a");
        detokenizer.flush(out);
        BOOST_TEST(out == "a" + std::string(fffd));
        detokenizer.flush(out);  // a second flush() adds nothing
        BOOST_TEST(out == "a" + std::string(fffd));
        detokenizer.append("b", out);
        BOOST_TEST(out == "a" + std::string(fffd) + "b");
    }
}

BOOST_AUTO_TEST_CASE(character_is_released_with_its_last_byte) {
    Detokenizer detokenizer;
    std::string out;
    detokenizer.append("\xF0\x9F\x98", out);
    detokenizer.append("\x80", out);
    BOOST_TEST(out == "\xF0\x9F\x98\x80");
}

// An independent implementation of the standard. At each place of the text, it takes the longest sequence of
// bytes that is a well-formed character or the beginning of a character.
std::string reference(const std::string& bytes) {
    static const std::vector<std::vector<std::pair<int, int>>> forms = {
        {{0x00, 0x7F}},
        {{0xC2, 0xDF}, {0x80, 0xBF}},
        {{0xE0, 0xE0}, {0xA0, 0xBF}, {0x80, 0xBF}},
        {{0xE1, 0xEC}, {0x80, 0xBF}, {0x80, 0xBF}},
        {{0xED, 0xED}, {0x80, 0x9F}, {0x80, 0xBF}},
        {{0xEE, 0xEF}, {0x80, 0xBF}, {0x80, 0xBF}},
        {{0xF0, 0xF0}, {0x90, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
        {{0xF1, 0xF3}, {0x80, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
        {{0xF4, 0xF4}, {0x80, 0x8F}, {0x80, 0xBF}, {0x80, 0xBF}},
    };
    std::string out;
    for (std::size_t at = 0; at < bytes.size();) {
        std::size_t longest = 1;
        bool whole = false;
        for (const auto& form : forms) {
            std::size_t size = 0;
            while (size < form.size() && at + size < bytes.size()) {
                const int byte = static_cast<unsigned char>(bytes[at + size]);
                if (byte < form[size].first || byte > form[size].second) break;
                ++size;
            }
            whole = whole || size == form.size();
            longest = std::max(longest, size);
        }
        out += whole ? bytes.substr(at, longest) : std::string(fffd);
        at += longest;
    }
    return out;
}

BOOST_AUTO_TEST_CASE(random_bytes_agree_with_the_standard) {
    std::mt19937 random(20240607);  // NOLINT(bugprone-random-generator-seed): the same texts each time
    // Only bytes at the edges of the ranges are used.
    const std::string_view edges =
        "aZ\x7F\x80\x8F\x90\x9F\xA0\xBF\xC0\xC1\xC2\xDF\xE0\xE1\xEC\xED\xEE\xEF"
        "\xF0\xF1\xF3\xF4\xF5\xFF";
    for (int round = 0; round < 20'000; ++round) {
        std::string bytes(1 + random() % 12, '\0');
        for (char& byte : bytes) byte = edges[random() % edges.size()];
        const std::string expected = reference(bytes);
        BOOST_REQUIRE_EQUAL(decoded({bytes}), expected);
        BOOST_REQUIRE_EQUAL(decoded_bytewise(bytes), expected);
        BOOST_REQUIRE_EQUAL(decoded(split(bytes, static_cast<std::uint32_t>(random()))), expected);
    }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard
