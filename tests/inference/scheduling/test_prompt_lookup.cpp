#include <boost/test/unit_test.hpp>
#include <vector>

#include "inference/scheduling/prompt_lookup.hpp"

namespace solard {
namespace {

std::vector<TokenId> draft(const std::vector<TokenId>& tokens, std::size_t max_tokens) {
    const auto found = find_draft(tokens, max_tokens);
    return {found.begin(), found.end()};
}

using Tokens = std::vector<TokenId>;

}  // namespace

BOOST_AUTO_TEST_SUITE(prompt_lookup)

BOOST_AUTO_TEST_CASE(the_draft_follows_the_latest_occurrence_of_the_last_three_tokens) {
    BOOST_TEST(draft({1, 2, 3, 4, 5, 9, 1, 2, 3}, 2) == (Tokens{4, 5}), boost::test_tools::per_element());
    BOOST_TEST(draft({1, 2, 3, 7, 1, 2, 3, 8, 1, 2, 3}, 1) == (Tokens{8}), boost::test_tools::per_element());
    BOOST_TEST(draft({1, 2, 3, 4, 1, 2, 3}, 9) == (Tokens{4, 1, 2, 3}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(an_occurrence_may_overlap_the_end) {
    BOOST_TEST(draft({5, 5, 5, 5}, 4) == (Tokens{5}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(there_is_no_draft_without_an_earlier_occurrence) {
    BOOST_TEST(draft({}, 4).empty());
    BOOST_TEST(draft({1, 2, 3}, 4).empty());
    BOOST_TEST(draft({1, 2, 4, 1, 2, 3}, 4).empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
