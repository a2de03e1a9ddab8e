// What systemd is told: sd_notify(3) without its library.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace solard::server {

// Silent where no service manager asked to be told. Never blocks, never fails: a notification that cannot be
// sent is dropped; the first one leaves a line at debug level.
class ServiceManager {
  public:
    // By NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    ServiceManager();
    ~ServiceManager();
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;

    // One datagram: "READY=1", or several lines.
    void notify(std::string_view state);
    // "STATUS=text", unless it was the last one.
    void status(const std::string& text);

    // How often WATCHDOG=1 is due; zero: never. Half of what the manager waits.
    std::chrono::microseconds watchdog_interval() const { return watchdog_interval_; }

  private:
    int socket_ = -1;
    std::string address_;  // of a Unix datagram socket; an abstract one begins with a NUL
    std::string last_status_;
    bool told_failure_ = false;
    std::chrono::microseconds watchdog_interval_{0};
};

}  // namespace solard::server
