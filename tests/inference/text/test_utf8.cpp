#include "inference/text/utf8.hpp"

#include <boost/test/unit_test.hpp>

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

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
