// Checks of a result: that it is the expected error, or that it has a value.
#pragma once

#include <boost/test/unit_test.hpp>
#include <initializer_list>
#include <string>
#include <string_view>

#include "inference/error.hpp"

namespace solard {

// Checks that `outcome` is an error with `code` whose message is one line and contains each of `parts`.
template <class T>
void check_refused(const result<T>& outcome, std::initializer_list<std::string_view> parts,
                   errc code = errc::bad_model) {
    BOOST_REQUIRE_MESSAGE(outcome.has_error(), "no error; expected one with " << *parts.begin());
    const Error error = outcome.error();
    BOOST_TEST(static_cast<int>(error.code) == static_cast<int>(code));
    BOOST_TEST(error.message.find('\n') == std::string::npos, error.message);
    for (const std::string_view part : parts) {
        BOOST_TEST(error.message.find(part) != std::string::npos, part << " is not in: " << error.message);
    }
}

// Requires that `outcome` has a value.
template <class T>
void require_accepted(const result<T>& outcome) {
    BOOST_REQUIRE_MESSAGE(outcome.has_value(), outcome.error().message);
}

}  // namespace solard
