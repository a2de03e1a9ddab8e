#include "inference/text/utf8.hpp"

#include <boost/test/unit_test.hpp>
#include <cstdint>

namespace solard {

BOOST_AUTO_TEST_SUITE(utf8)

BOOST_AUTO_TEST_CASE(valid_text_is_unchanged_and_other_bytes_become_replacement_characters) {
    BOOST_TEST(valid_utf8("") == "");
    BOOST_TEST(valid_utf8("a\xC3\xA9\xED\x95\x9C\xF0\x9F\x98\x80") ==
               "a\xC3\xA9\xED\x95\x9C\xF0\x9F\x98\x80");
    BOOST_TEST(valid_utf8("a\xFF\x62") == "a\xEF\xBF\xBD\x62");
    BOOST_TEST(valid_utf8("a\xED\x95") == "a\xEF\xBF\xBD");
}

BOOST_AUTO_TEST_CASE(a_character_counts_once_however_many_bytes_it_has) {
    BOOST_TEST(count_characters("") == 0);
    BOOST_TEST(count_characters("a\xC3\xA9\xED\x95\x9C\xF0\x9F\x98\x80") == 4);
    BOOST_TEST(count_characters("\x95\x9C") == 0);
    BOOST_TEST(count_characters("\xED") == 1);
}

BOOST_AUTO_TEST_CASE(first_byte_that_is_not_utf8_is_found) {
    constexpr auto none = std::string_view::npos;
    BOOST_TEST(find_invalid_utf8("") == none);
    BOOST_TEST(find_invalid_utf8("a\xC3\xA9\xED\x95\x9C\xEF\xBF\xBD") == none);
    BOOST_TEST(find_invalid_utf8("a\xFF\x62") == 1);
    BOOST_TEST(find_invalid_utf8("a\xED\x95") == 1);
    // A broken sequence that begins like the replacement character:
    BOOST_TEST(find_invalid_utf8("ab\xEF") == 2);
    BOOST_TEST(find_invalid_utf8("ab\xEF\xBF") == 2);
    BOOST_TEST(find_invalid_utf8("\xEF\xBF\xBD\xEF\xBFx") == 3);
}

BOOST_AUTO_TEST_CASE(characters_are_taken_one_by_one) {
    std::string_view text = "a\xC3\xA9\xED\x95\x9C\xF0\x9F\x98\x80\xF4\x8F\xBF\xBF";
    for (const char32_t expected : {U'a', U'\u00E9', U'\uD55C', U'\U0001F600', U'\U0010FFFF'})
        BOOST_TEST(static_cast<std::uint32_t>(take_character(text)) == static_cast<std::uint32_t>(expected));
    BOOST_TEST(text.empty());
}

BOOST_AUTO_TEST_CASE(byte_order_mark_is_removed_only_at_the_beginning) {
    BOOST_TEST(without_byte_order_mark("\xEF\xBB\xBF"
                                       "a") == "a");
    BOOST_TEST(without_byte_order_mark("a\xEF\xBB\xBF") == "a\xEF\xBB\xBF");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
