// Checks the simulation itself: it must catch each of the bugs that plant_bugs.py plants.
#include <boost/test/unit_test.hpp>
#include <exception>
#include <iostream>
#include <optional>
#include <string>

#include "planted_bugs.hpp"
#include "tests/simulation/simulation.hpp"

namespace solard {
namespace {

constexpr std::uint64_t max_seeds = 1000;  // per bug

// Returns the error message of the first seed that fails.
std::optional<std::string> first_failure() {
    for (std::uint64_t seed = 1; seed <= max_seeds; ++seed) {
        try {
            simulate(seed);
            simulate_fairness(seed);
        } catch (const std::exception& e) {
            return "seed " + std::to_string(seed) + ", " + e.what();
        }
    }
    return std::nullopt;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(mutants)

BOOST_AUTO_TEST_CASE(without_a_planted_bug_there_is_no_failure) {
    planted_bug = 0;
    BOOST_TEST(first_failure().value_or("") == "");
}

BOOST_AUTO_TEST_CASE(every_planted_bug_is_caught) {
    for (const std::string_view name : planted_bug_names) {
        ++planted_bug;
        const auto failure = first_failure();
        BOOST_TEST(failure.has_value(), name << " was not caught");
        if (failure) std::cout << name << ": " << *failure << '\n';
    }
    planted_bug = 0;
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard
