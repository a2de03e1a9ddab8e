#include "server/connection_table.hpp"

#include <new>
#include <utility>

namespace solard::server {

std::optional<ConnectionTable::Rank> ConnectionTable::rank_of(const Network& network) {
    if (network.interruptible.empty()) return std::nullopt;
    const auto& [since, id] = *network.interruptible.begin();
    return Rank{.num_connections = network.num_connections, .since = since, .oldest = id};
}

// Allocates nothing if the network had a rank before.
template <class Change>
void ConnectionTable::change(Network& network, Change apply) {
    const auto before = rank_of(network);
    apply(network);
    auto rank = before ? ranks_.extract(*before) : decltype(ranks_)::node_type();
    const auto after = rank_of(network);
    if (!after) return;
    if (rank.empty()) {
        ranks_.insert(*after);
    } else {
        rank.value() = *after;
        ranks_.insert(std::move(rank));
    }
}

std::optional<ConnectionTable::Id> ConnectionTable::victim() const {
    if (ranks_.empty()) return std::nullopt;
    return ranks_.begin()->oldest;
}

std::optional<ConnectionTable::Id> ConnectionTable::victim_for(std::uint64_t network) const {
    if (ranks_.empty()) return std::nullopt;
    const std::size_t most = ranks_.begin()->num_connections;
    const auto own = networks_.find(network);
    const bool is_known = own != networks_.end();
    const std::size_t num_with_new = is_known ? own->second.num_connections + 1 : 1;
    if (most <= num_with_new && is_known && !own->second.interruptible.empty())
        return own->second.interruptible.begin()->second;
    return most >= num_with_new ? victim() : std::nullopt;
}

void ConnectionTable::add(Id id, std::uint64_t network) {
    change(networks_[network], [&](Network& own) {
        const Connection connection{.network = network, .since = ++num_changes_};
        own.interruptible.emplace(connection.since, id);
        try {
            connections_.emplace(id, connection);
        } catch (const std::bad_alloc&) {
            own.interruptible.erase(connection.since);
            throw;
        }
        ++own.num_connections;
    });
}

void ConnectionTable::set_interruptible(Id id, bool interruptible) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    Connection& connection = found->second;
    if (interruptible == (connection.since != 0)) return;
    change(networks_.at(connection.network), [&](Network& own) {
        if (interruptible) {
            own.interruptible.emplace(++num_changes_, id);
            connection.since = num_changes_;
        } else {
            own.interruptible.erase(connection.since);
            connection.since = 0;
        }
    });
}

void ConnectionTable::remove(Id id) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    const auto network = networks_.find(found->second.network);
    change(network->second, [&](Network& own) {
        own.interruptible.erase(found->second.since);
        --own.num_connections;
    });
    if (network->second.num_connections == 0) networks_.erase(network);
    connections_.erase(found);
}

}  // namespace solard::server
