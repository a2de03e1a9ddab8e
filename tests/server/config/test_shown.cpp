#include "server/config/shown.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

#include "inference/text/utf8.hpp"

using namespace solard;
using namespace solard::server;

namespace {

std::string repeated(const std::string& text, std::size_t count) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += text;
    return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(shown_text)

BOOST_AUTO_TEST_CASE(text_of_up_to_200_bytes_is_shown_as_it_is) {
    for (const auto size : {0U, 1U, 199U, 200U})
        BOOST_TEST(shown(std::string(size, 'a')) == std::string(size, 'a'));
}

BOOST_AUTO_TEST_CASE(longer_text_is_cut_and_ends_with_three_dots) {
    for (const auto size : {201U, 400U, 401U, 100'000U})
        BOOST_TEST(shown(std::string(size, 'a')) == std::string(197, 'a') + "...");
}

BOOST_AUTO_TEST_CASE(text_is_cut_between_two_characters) {
    const std::string moon = "\U0001F319";  // four bytes
    for (std::size_t before = 0; before < 4; ++before) {
        const std::string text = shown(std::string(before, 'a') + repeated(moon, 100));
        BOOST_TEST(text == std::string(before, 'a') + repeated(moon, (197 - before) / 4) + "...");
    }
}

BOOST_AUTO_TEST_CASE(bytes_that_are_not_utf8_are_replaced_within_the_limit) {
    BOOST_TEST(shown("a\xFFz") == "a\uFFFDz");
    const std::string text = shown(std::string(7000, '\xFF'));
    BOOST_TEST(text == repeated("\uFFFD", 65) + "...");
    BOOST_TEST(shown(repeated("\xF0\x9F\x98", 1000)).size() <= max_shown_bytes);
    BOOST_TEST(valid_utf8(text) == text);
}

BOOST_AUTO_TEST_SUITE_END()
