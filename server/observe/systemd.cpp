#include "server/observe/systemd.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <system_error>
#include <utility>

#include "server/observe/log.hpp"

namespace solard::server {
namespace {

std::string_view environment(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

std::optional<std::int64_t> number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

SystemdNotifier::SystemdNotifier() : address_(environment("NOTIFY_SOCKET")) {
    if (address_.empty() || address_.size() >= sizeof(sockaddr_un::sun_path)) return;
    if (address_.front() == '@') address_.front() = '\0';
    socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const auto process = number(environment("WATCHDOG_PID"));
    const auto interval = number(environment("WATCHDOG_USEC"));
    if (interval && *interval > 0 && process.value_or(getpid()) == getpid())
        watchdog_interval_ = std::chrono::microseconds(*interval / 2);
}

SystemdNotifier::~SystemdNotifier() {
    if (socket_ >= 0) close(socket_);
}

void SystemdNotifier::notify(std::string_view state) {
    if (socket_ < 0) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::ranges::copy(address_, address.sun_path);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    const auto sent = sendto(socket_, state.data(), state.size(), MSG_NOSIGNAL,
                             reinterpret_cast<const sockaddr*>(&address), size);
    if (sent >= 0 || std::exchange(failure_logged_, true)) return;
    const std::error_code reason(errno, std::system_category());
    log(LogLevel::debug, "systemd cannot be notified: " + reason.message());
}

void SystemdNotifier::status(const std::string& text) {
    if (text == last_status_) return;
    last_status_ = text;
    notify("STATUS=" + text);
}

}  // namespace solard::server
