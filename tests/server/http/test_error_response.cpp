#include "server/http/error_response.hpp"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "server/observe/waiting_memory.hpp"

namespace solard::server {
namespace {

using std::chrono::milliseconds;

std::string field_of(const HttpResponse& response, std::string_view name) {
    for (const auto& [field, value] : response.fields)
        if (field == name) return value;
    return "missing";
}

// Returns "SECONDS MILLISECONDS" of an answer.
std::string retry_fields(const HttpResponse& response) {
    return field_of(response, "Retry-After") + " " + field_of(response, "retry-after-ms");
}

BOOST_AUTO_TEST_SUITE(error_response)

BOOST_AUTO_TEST_CASE(both_retry_fields_say_the_known_wait) {
    Error error{errc::server_overloaded, "busy"};
    const auto fields_for = [&](milliseconds wait) {
        error.retry_after = wait;
        return retry_fields(server::error_response(error));
    };
    BOOST_TEST(fields_for(milliseconds(1)) == "1 1");
    BOOST_TEST(fields_for(milliseconds(1000)) == "1 1000");
    BOOST_TEST(fields_for(milliseconds(1001)) == "2 1001");
    BOOST_TEST(fields_for(milliseconds(30'000)) == "30 30000");
}

BOOST_AUTO_TEST_CASE(clients_refused_together_get_waits_from_1_to_2_seconds) {
    std::vector<int> waits;
    for (int i = 0; i < 1000; ++i) {
        const auto response = server::error_response(no_waiting_memory());
        const int wait = std::stoi(field_of(response, "retry-after-ms"));
        BOOST_TEST(field_of(response, "Retry-After") == (wait > 1000 ? "2" : "1"));
        waits.push_back(wait);
    }
    const auto [shortest, longest] = std::ranges::minmax(waits);
    BOOST_TEST(shortest >= 1000);
    BOOST_TEST(shortest < 1100);
    BOOST_TEST(longest < 2000);
    BOOST_TEST(longest >= 1900);
}

BOOST_AUTO_TEST_CASE(error_that_a_retry_cannot_solve_has_no_retry_fields) {
    BOOST_TEST(retry_fields(server::error_response({errc::not_found, "gone"})) == "missing missing");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::server
