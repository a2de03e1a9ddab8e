// Tests which datagrams systemd receives while the engine makes progress, and while the engine hangs.
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>

#include "tests/support/running_service.hpp"

namespace solard::server {

namespace {

// A notify socket. As long as this object lives, the environment variable NOTIFY_SOCKET contains the path of
// the socket.
class Manager {
  public:
    Manager() {
        std::string folder = SOLARD_TEST_BUILD_DIR "/notify-XXXXXX";
        folder_ = mkdtemp(folder.data());
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = folder_ + "/s";
        BOOST_REQUIRE(path.size() < sizeof address.sun_path);
        path.copy(address.sun_path, path.size());
        socket_ = socket(AF_UNIX, SOCK_DGRAM, 0);
        BOOST_REQUIRE(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        setenv("NOTIFY_SOCKET", path.c_str(), 1);
        setenv("WATCHDOG_USEC", "20000", 1);
    }
    ~Manager() {
        unsetenv("NOTIFY_SOCKET");
        unsetenv("WATCHDOG_USEC");
        close(socket_);
        std::filesystem::remove_all(folder_);
    }
    // Returns the next datagram; empty if none arrives in time.
    std::string receive(int milliseconds) const {
        const timeval limit{.tv_sec = milliseconds / 1000, .tv_usec = milliseconds % 1000 * 1000};
        setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        char text[512];
        const auto size = recv(socket_, text, sizeof text, 0);
        return size < 0 ? "" : std::string(text, static_cast<std::size_t>(size));
    }
    void wait_for(const std::string& wanted) const {
        for (std::string got; got != wanted; got = receive(60'000)) {
        }
    }

  private:
    std::string folder_;
    int socket_;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(systemd_notifier)

BOOST_AUTO_TEST_CASE(watchdog_is_not_fed_during_a_step_that_does_not_end_while_http_is_still_answered) {
    const Manager manager;
    RunningService service({"--engine-timeout", "86400"});
    manager.wait_for("READY=1");
    manager.wait_for("WATCHDOG=1");
    service.control().close_gate();
    Connection connection(service.port());
    connection.send(chat_request("a", R"("max_tokens":2)"));
    // The step is running. Datagrams that were sent before the step arrive first. After that, no datagram may
    // arrive for 300 ms, although the watchdog expects a datagram every 20 ms.
    while (!manager.receive(300).empty()) {
    }
    Connection other(service.port());
    other.send(get_request("/v1/health/live"));
    BOOST_TEST(other.read_answer().status == 200);
    BOOST_TEST(manager.receive(1).empty());
    service.control().open_gate();
    manager.wait_for("WATCHDOG=1");
    BOOST_TEST(connection.read_answer().status == 200);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
