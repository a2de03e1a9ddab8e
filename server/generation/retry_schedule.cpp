#include "server/generation/retry_schedule.hpp"

#include <algorithm>

namespace solard::server {
namespace {

// A reservation is kept for this long after its scheduled time, because the client's retry may still be on
// its way.
constexpr std::chrono::milliseconds grace{500};

}  // namespace

RetrySchedule::Holder RetrySchedule::holder_of(const Caller& caller) {
    return caller.num_retries ? Holder{true, caller.owner} : Holder{false, caller.connection};
}

// Returns all reservations of the owner or connection to which the caller's reservation belongs. The first of
// these reservations is the caller's. Returns null if the caller has no reservation.
const RetrySchedule::Reservations* RetrySchedule::reservations_of(const Caller& caller) const {
    if (caller.num_retries == 0U) return nullptr;
    const auto found = reservations_.find(holder_of(caller));
    return found == reservations_.end() ? nullptr : &found->second;
}

std::chrono::milliseconds RetrySchedule::refuse(const Caller& caller, std::int64_t num_choices,
                                                Clock::duration interval, Time now) {
    drop_passed(now);
    Time time{};
    if (const Reservations* own = reservations_of(caller)) {
        time = own->begin()->first;
        if (time <= now || caller.num_retries) claim(caller), time = Time{};
    }
    if (time <= now) {
        const double stretched = 1 + spread * std::generate_canonical<double, 32>(random_);
        const std::chrono::duration<double, Clock::period> wait =
            interval * (num_choices_ + num_choices) * stretched;
        time = now + std::chrono::duration_cast<Clock::duration>(wait);
        add(holder_of(caller), num_choices, time);
    }
    const auto wait = std::chrono::ceil<milliseconds>(time - now);
    if (wait <= max_wait) return std::max(wait, min_wait);
    return milliseconds(
        std::uniform_int_distribution<milliseconds::rep>(max_wait.count() / 2, max_wait.count())(random_));
}

void RetrySchedule::claim(const Caller& caller) {
    if (reservations_of(caller) != nullptr) erase_first(reservations_.find(holder_of(caller)));
}

void RetrySchedule::close(std::uint64_t connection) {
    const auto found = reservations_.find({false, connection});
    if (found != reservations_.end()) erase_first(found);
}

bool RetrySchedule::is_due(const Caller& caller, Time now) const {
    const Reservations* const own = reservations_of(caller);
    return own != nullptr && own->begin()->first <= now;
}

void RetrySchedule::add(const Holder& holder, std::int64_t num_choices, Time time) {
    Reservations& all = reservations_[holder];
    if (all.size() >= max_per_owner_) return;
    all.emplace(time, num_choices);
    by_time_.emplace(time, holder);
    num_choices_ += num_choices;
}

void RetrySchedule::erase_first(std::map<Holder, Reservations>::iterator holder) {
    const auto first = holder->second.begin();
    const auto [begin, end] = by_time_.equal_range(first->first);
    by_time_.erase(
        std::find_if(begin, end, [&](const auto& entry) { return entry.second == holder->first; }));
    num_choices_ -= first->second;
    holder->second.erase(first);
    if (holder->second.empty()) reservations_.erase(holder);
}

void RetrySchedule::drop_passed(Time now) {
    while (!by_time_.empty() && by_time_.begin()->first + grace <= now)
        erase_first(reservations_.find(by_time_.begin()->second));
}

}  // namespace solard::server
