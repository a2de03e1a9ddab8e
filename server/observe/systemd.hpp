// Notifies systemd as sd_notify(3) does, without systemd's library.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace solard::server {

// Sends nothing if no service manager asked for notifications. Never blocks and never fails: a notification
// that cannot be sent is dropped, and only the first failure is logged (at debug level).
class SystemdNotifier {
  public:
    // Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID from the environment.
    SystemdNotifier();
    ~SystemdNotifier();
    SystemdNotifier(const SystemdNotifier&) = delete;
    SystemdNotifier& operator=(const SystemdNotifier&) = delete;

    // Sends one datagram: "READY=1", or several such lines.
    void notify(std::string_view state);
    // Sends "STATUS=text", unless `text` is also the status that was sent last.
    void status(const std::string& text);

    // Returns the time between two WATCHDOG=1 messages: half of the time that systemd waits for such a
    // message, or zero if systemd expects no messages.
    std::chrono::microseconds watchdog_interval() const { return watchdog_interval_; }

  private:
    int socket_ = -1;
    std::string address_;  // of systemd's Unix datagram socket; an abstract address begins with a NUL
    std::string last_status_;
    bool failure_logged_ = false;
    std::chrono::microseconds watchdog_interval_{0};
};

}  // namespace solard::server
