// Charges the memory budget for the input of a client until the server needs the input no longer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "server/observe/waiting_memory.hpp"
#include "server/observe/wakeup.hpp"

namespace solard::server {

// The charge of one body, or of the messages of one socket. A charge that was refused once stays refused. I/O
// thread only.
class InputCharge {
  public:
    // `on_refused` is called once, when the budget has no room for the input. The code that reads or uses the
    // input must then stop, and free the input. `on_refused` may be empty, and must not destroy this object.
    InputCharge(WaitingMemory& memory, std::uint64_t owner, std::function<void()> on_refused)
        : on_refused_(std::move(on_refused)),
          account_(memory, owner, WaitingKind::input, [this](std::size_t) { refuse(); }) {}
    InputCharge(const InputCharge&) = delete;
    InputCharge& operator=(const InputCharge&) = delete;

    // Sets the charge to `bytes`, the memory that the input holds now. Returns false if the charge is
    // refused.
    bool resize(std::size_t bytes) {
        if (!refused_ && !account_.resize(bytes)) refuse();
        return !refused_;
    }
    bool is_refused() const { return refused_; }
    // Sets what is notified, besides the call of `on_refused`, when the charge is refused; null: nothing.
    void set_waiting(Wakeup* waiting) { waiting_ = waiting; }
    // Must be called when the whole input was read, if `on_refused` uses objects that may end before this
    // object.
    void end_reading() { on_refused_ = nullptr; }

  private:
    void refuse() {
        refused_ = true;
        account_.resize(0);
        if (waiting_ != nullptr) waiting_->notify();
        if (on_refused_) on_refused_();
    }

    bool refused_ = false;
    Wakeup* waiting_ = nullptr;
    std::function<void()> on_refused_;
    WaitingAccount account_;
};

}  // namespace solard::server
