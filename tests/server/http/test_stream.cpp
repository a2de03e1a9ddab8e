// Tests, with a real connection, that the server drops a client which accepts no bytes. Every write
// of the server succeeds nevertheless, because the kernel stores the bytes.
#include <boost/test/unit_test.hpp>

#include "tests/support/running_service.hpp"

namespace solard::server {
namespace {

BOOST_AUTO_TEST_SUITE(stream)

BOOST_AUTO_TEST_CASE(client_that_accepts_nothing_is_dropped_although_the_kernel_takes_every_write) {
    RunningService service(
        {"--write-timeout", "0.2", "--keep-alive-interval", "0.05", "--engine-timeout", "86400"});
    service.control().close_gate();
    // The client's receive buffer is too small for the licence text. The rest of the text stays in the
    // kernel's send buffer, which also has room for the bytes that the server sends to keep the stream open.
    Connection stalled(service.port(), 4096);
    stalled.send(get_request("/v1/license") + chat_request("a", R"("stream":true)"));
    service.control().wait_until_held();
    wait_for_in_flight(service.port(), 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::server
