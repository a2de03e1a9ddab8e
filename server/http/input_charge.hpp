// Charges the memory budget for the input of a client while this input is read and parsed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "server/observe/waiting_memory.hpp"

namespace solard::server {

// The charge of one body, or of the messages of one socket. A charge that was refused once stays refused. I/O
// thread only.
class InputCharge {
  public:
    // `on_refused` is called once, when the budget has no room for the input. The code that reads the input
    // must then stop, and free the input that was already read. `on_refused` must not destroy this object.
    InputCharge(WaitingMemory& memory, std::uint64_t owner, std::function<void()> on_refused)
        : on_refused_(std::move(on_refused)),
          account_(memory, owner, WaitingKind::input, [this](std::size_t) { refuse(); }) {}
    InputCharge(const InputCharge&) = delete;
    InputCharge& operator=(const InputCharge&) = delete;

    // Sets the charge to `bytes`, the memory that the input holds now. Returns false if the charge is
    // refused.
    bool resize(std::size_t bytes) {
        if (!*refused_ && !account_.resize(bytes)) refuse();
        return !*refused_;
    }
    bool is_refused() const { return *refused_; }
    // Returns a flag that becomes true when the charge is refused. Any thread may read the flag, even after
    // the end of this object.
    std::shared_ptr<const std::atomic<bool>> refused_flag() const { return refused_; }
    // Must be called when the whole input was read, if `on_refused` uses objects that may end before this
    // object.
    void end_reading() { on_refused_ = nullptr; }

  private:
    void refuse() {
        *refused_ = true;
        account_.resize(0);
        if (on_refused_) on_refused_();
    }

    std::shared_ptr<std::atomic<bool>> refused_ = std::make_shared<std::atomic<bool>>(false);
    std::function<void()> on_refused_;
    WaitingAccount account_;
};

}  // namespace solard::server
