#include "server/generation/queue_shares.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

namespace solard::server {
namespace {

constexpr std::chrono::duration<double> half_life{10};
constexpr double max_weight = 1 << 16;
// Connections of one owner which share equally would displace each other at every attempt. So a connection
// displaces another one only if its use is smaller by more than this part of the other one's recent use.
constexpr double min_difference = 0.2;

double part_of(std::int64_t amount, std::int64_t limit) {
    return static_cast<double>(amount) / static_cast<double>(std::max<std::int64_t>(limit, 1));
}

Demand sum(Demand a, const Demand& b) {
    return a += b;
}

}  // namespace

Demand& Demand::operator+=(const Demand& other) {
    choices += other.choices;
    tokens += other.tokens;
    return *this;
}

Demand& Demand::operator-=(const Demand& other) {
    choices -= other.choices;
    tokens -= other.tokens;
    return *this;
}

Demand QueueShares::in_flight_of(const Caller& caller) const {
    const auto owner = owners_.find(caller.owner);
    if (owner == owners_.end()) return {};
    const auto found = owner->second.principals.find(caller.principal);
    return found == owner->second.principals.end() ? Demand{} : found->second.in_flight;
}

const Caller* QueueShares::find_caller(Id id) const {
    const auto it = entries_.find(id);
    return it == entries_.end() ? nullptr : &it->second.caller;
}

std::size_t QueueShares::num_active(const Caller& caller) const {
    const auto owner = owners_.find(caller.owner);
    if (owner == owners_.end()) return 1;
    std::size_t count = 1;
    for (const auto& [id, principal] : owner->second.principals)
        count += id != caller.principal && principal.in_flight.choices > 0 ? 1 : 0;
    return count;
}

// The generations which make_room() has chosen so far. They do not count as in flight while this object
// exists.
class QueueShares::Victims {
  public:
    explicit Victims(QueueShares& shares) : shares_(shares) {}
    Victims(const Victims&) = delete;
    Victims& operator=(const Victims&) = delete;
    ~Victims() {
        for (Entry* const victim : entries_) {
            victim->displaceable = true;
            shares_.in_flight_ += victim->in_flight;
            victim->owner->in_flight += victim->in_flight;
            victim->principal->in_flight += victim->in_flight;
        }
    }
    void add(Entry& victim) {
        entries_.push_back(&victim);
        victim.displaceable = false;
        shares_.in_flight_ -= victim.in_flight;
        victim.owner->in_flight -= victim.in_flight;
        victim.principal->in_flight -= victim.in_flight;
    }

  private:
    QueueShares& shares_;
    std::vector<Entry*> entries_;
};

std::optional<std::vector<QueueShares::Id>> QueueShares::make_room(const Caller& caller, const Demand& demand,
                                                                   bool comes_when_told, Time now) {
    advance(now);
    const Newcomer newcomer = judge(caller, demand, comes_when_told);
    std::vector<Id> ids;
    Victims victims(*this);  // the next victim is chosen as if the earlier victims had left
    while (!has_room(demand)) {
        const auto victim = find_victim(newcomer);
        if (victim == entries_.end()) {
            enter(caller);
            return std::nullopt;
        }
        ids.push_back(victim->first);
        victims.add(victim->second);
    }
    return ids;
}

bool QueueShares::has_room(const Demand& demand) const {
    return in_flight_.choices + demand.choices <= limits_.choices &&
           (in_flight_.tokens == 0 || in_flight_.tokens + demand.tokens <= limits_.tokens);
}

double QueueShares::use(const Demand& in_flight, double recent) const {
    const double part =
        std::max(part_of(in_flight.choices, limits_.choices), part_of(in_flight.tokens, limits_.tokens));
    return part + recent / std::max(recent_, weight_);
}

// Returns the recent use with which a new principal begins: the recent use of its owner, divided by the
// number of the owner's principals, including the new principal. Principals which were only refused are not
// counted, so that a client cannot make its new connections look better by opening many of them.
double QueueShares::starting_recent(const Owner& owner) {
    return owner.recent / static_cast<double>(owner.num_admitted + 1);
}

// Returns the caller's principal, which is new if it is not known.
QueueShares::Principal& QueueShares::enter(const Caller& caller) {
    Owner& owner = owners_[caller.owner];
    const double recent = starting_recent(owner);
    return owner.principals.try_emplace(caller.principal, Principal{.recent = recent}).first->second;
}

void QueueShares::erase(Owner& owner, Principals::iterator principal) {
    owner.num_admitted -= principal->second.was_admitted ? 1 : 0;
    owner.principals.erase(principal);
}

QueueShares::Newcomer QueueShares::judge(const Caller& caller, const Demand& demand,
                                         bool comes_when_told) const {
    Newcomer newcomer{caller, use(demand, 0), use(demand, 0), comes_when_told};
    const auto found = owners_.find(caller.owner);
    if (found == owners_.end()) return newcomer;
    const Owner& owner = found->second;
    newcomer.owner_use = use(sum(owner.in_flight, demand), owner.recent);
    const auto own = owner.principals.find(caller.principal);
    newcomer.principal_use = own == owner.principals.end()
                                 ? use(demand, starting_recent(owner))
                                 : use(sum(own->second.in_flight, demand), own->second.recent);
    return newcomer;
}

// Returns the rank of the generation: the generation with the largest rank is displaced first. The last
// member of the rank is the id, so that the youngest of otherwise equal generations has the largest rank.
// Returns nullopt if the newcomer cannot displace the generation.
std::optional<QueueShares::Rank> QueueShares::rank(Id id, const Entry& entry,
                                                   const Newcomer& newcomer) const {
    if (!entry.displaceable) return std::nullopt;
    const double owner_use = use(entry.owner->in_flight, entry.owner->recent);
    const double principal_use = use(entry.principal->in_flight, entry.principal->recent);
    const double margin = use({}, min_difference * entry.principal->recent);
    if (entry.caller.owner != newcomer.caller.owner) {
        if (owner_use > newcomer.owner_use) return Rank(Reason::other_owner, owner_use, principal_use, id);
    } else if (entry.came_when_told) {
        return std::nullopt;
    } else if (entry.caller.principal != newcomer.caller.principal &&
               principal_use - margin > newcomer.principal_use) {
        return Rank(Reason::other_principal, owner_use, principal_use, id);
    } else if (newcomer.comes_when_told && entry.caller.num_retries == 0U) {
        return Rank(Reason::first_attempt, 0, 0, id);
    }
    return std::nullopt;
}

std::map<QueueShares::Id, QueueShares::Entry>::iterator QueueShares::find_victim(const Newcomer& newcomer) {
    auto victim = entries_.end();
    std::optional<Rank> largest;
    for (auto it = entries_.begin(); it != entries_.end(); ++it) {
        const auto its_rank = rank(it->first, it->second, newcomer);
        if (!its_rank || (largest && *its_rank < *largest)) continue;
        largest = its_rank;
        victim = it;
    }
    return victim;
}

void QueueShares::add(Id id, const Caller& caller, const Demand& demand, bool came_when_told, Time now) {
    advance(now);
    Principal& principal = enter(caller);
    Owner& owner = owners_.find(caller.owner)->second;
    entries_.emplace(id, Entry{.caller = caller,
                               .in_flight = demand,
                               .came_when_told = came_when_told,
                               .owner = &owner,
                               .principal = &principal});
    if (!std::exchange(principal.was_admitted, true)) ++owner.num_admitted;
    in_flight_ += demand;
    owner.in_flight += demand;
    principal.in_flight += demand;
}

void QueueShares::hold(Id id) {
    const auto it = entries_.find(id);
    if (it != entries_.end()) it->second.displaceable = false;
}

void QueueShares::release(Id id, const Demand& part) {
    const auto it = entries_.find(id);
    if (it == entries_.end()) return;
    Entry& entry = it->second;
    in_flight_ -= part;
    entry.in_flight -= part;
    entry.owner->in_flight -= part;
    entry.principal->in_flight -= part;
    if (entry.in_flight.choices > 0) return;
    if (entry.principal->closed && entry.principal->in_flight.choices == 0)
        erase(*entry.owner, entry.owner->principals.find(entry.caller.principal));
    entries_.erase(it);
}

void QueueShares::remove(Id id) {
    const auto it = entries_.find(id);
    if (it != entries_.end()) release(id, Demand(it->second.in_flight));
}

void QueueShares::serve(Id id, std::int64_t num_tokens, Time now) {
    const auto it = entries_.find(id);
    if (it == entries_.end()) return;
    advance(now);
    const double amount = static_cast<double>(num_tokens) * weight_;
    recent_ += amount;
    it->second.owner->recent += amount;
    it->second.principal->recent += amount;
}

void QueueShares::close(const Caller& caller) {
    const auto owner = owners_.find(caller.owner);
    if (owner == owners_.end()) return;
    const auto found = owner->second.principals.find(caller.principal);
    if (found == owner->second.principals.end()) return;
    found->second.closed = true;
    if (found->second.in_flight.choices == 0) erase(owner->second, found);
    if (owner->second.principals.empty() && owner->second.recent == 0) owners_.erase(owner);
}

// Raises the weight that newly computed tokens get. If the weight has become too large, divides all amounts
// by the weight, and forgets owners which have no principal and hardly any recent use.
void QueueShares::advance(Time now) {
    if (now == weight_time_) return;
    weight_ *= std::exp2(std::chrono::duration<double>(now - weight_time_) / half_life);
    weight_time_ = now;
    if (weight_ < max_weight) return;
    recent_ /= weight_;
    for (auto& [id, owner] : owners_) {
        owner.recent /= weight_;
        for (auto& [principal_id, principal] : owner.principals) principal.recent /= weight_;
    }
    weight_ = 1;
    std::erase_if(owners_, [](const auto& entry) {
        return entry.second.principals.empty() && entry.second.recent < 1;
    });
}

}  // namespace solard::server
