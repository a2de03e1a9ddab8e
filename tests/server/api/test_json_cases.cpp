// Tests parse_json(), which reads every request body, with the cases of JSONTestSuite (make_json_cases.py).
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "server/api/json.hpp"

namespace solard::server {

namespace {

// Decodes a text such as "5b*3+5d": bytes in hexadecimal, where *N repeats a part and + joins parts.
std::string bytes_of(std::string_view code) {
    std::string bytes;
    while (!code.empty()) {
        const std::string_view part = code.substr(0, code.find('+'));
        code.remove_prefix(std::min(part.size() + 1, code.size()));
        const auto star = part.find('*');
        std::string once;
        for (std::size_t i = 0; i < std::min(star, part.size()); i += 2)
            once += static_cast<char>(std::stoi(std::string(part.substr(i, 2)), nullptr, 16));
        const int times = star == std::string_view::npos ? 1 : std::stoi(std::string(part.substr(star + 1)));
        for (int i = 0; i < times; ++i) bytes += once;
    }
    return bytes;
}

// Returns, for each case whose name begins with `letter`, whether parse_json() accepted it.
std::map<std::string, bool> verdicts(char letter) {
    std::ifstream file(SOLARD_SOURCE_DIR "/tests/server/api/json_cases.txt");
    std::map<std::string, bool> verdicts;
    for (std::string line; std::getline(file, line);) {
        if (line.front() != letter) continue;
        const auto space = line.find(' ');
        const std::string code = space == std::string::npos ? "" : line.substr(space + 1);
        verdicts[line.substr(0, space)] = parse_json(bytes_of(code)).has_value();
    }
    return verdicts;
}

std::set<std::string> names(const std::map<std::string, bool>& verdicts, bool accepted) {
    std::set<std::string> names;
    for (const auto& [name, verdict] : verdicts) {
        if (verdict == accepted) names.insert(name);
    }
    return names;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(json_cases)

BOOST_AUTO_TEST_CASE(valid_json_is_accepted_except_duplicate_keys) {
    const auto all = verdicts('y');
    BOOST_TEST(all.size() == 95);
    // Objects with a duplicate key are refused on purpose: two JSON parsers could choose different values.
    const std::set<std::string> refused{"y_object_duplicated_key", "y_object_duplicated_key_and_value"};
    BOOST_TEST(names(all, false) == refused, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(invalid_json_is_refused) {
    const auto all = verdicts('n');
    BOOST_TEST(all.size() == 188);
    BOOST_TEST(names(all, true).empty());
}

BOOST_AUTO_TEST_CASE(of_the_optional_cases_numbers_lone_surrogates_and_a_byte_order_mark_are_accepted) {
    const auto all = verdicts('i');
    BOOST_TEST(all.size() == 35);
    // A number that is too small for a double becomes zero. An integer with too many digits becomes a double.
    // A lone surrogate becomes U+FFFD. Infinities, bytes which are not UTF-8 and 500 nested arrays are
    // refused.
    const std::set<std::string> accepted{
        "i_number_double_huge_neg_exp",
        "i_number_real_underflow",
        "i_number_too_big_neg_int",
        "i_number_too_big_pos_int",
        "i_number_very_big_negative_int",
        "i_object_key_lone_2nd_surrogate",
        "i_string_1st_surrogate_but_2nd_missing",
        "i_string_1st_valid_surrogate_2nd_invalid",
        "i_string_incomplete_surrogate_and_escape_valid",
        "i_string_incomplete_surrogate_pair",
        "i_string_incomplete_surrogates_escape_valid",
        "i_string_invalid_lonely_surrogate",
        "i_string_invalid_surrogate",
        "i_string_inverted_surrogates_U+1D11E",
        "i_string_lone_second_surrogate",
        "i_structure_UTF-8_BOM_empty_object",
    };
    BOOST_TEST(names(all, true) == accepted, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
