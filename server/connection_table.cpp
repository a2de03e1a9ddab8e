#include "server/connection_table.hpp"

namespace solard::server {

std::optional<ConnectionTable::Rank> ConnectionTable::rank_of(const Network& network) {
    if (network.interruptible.empty()) return std::nullopt;
    const auto& [since, id] = *network.interruptible.begin();
    return Rank{.num_connections = network.num_connections, .since = since, .oldest = id};
}

template <class Change>
void ConnectionTable::change(Network& network, Change apply) {
    if (const auto before = rank_of(network)) ranks_.erase(*before);
    apply(network);
    if (const auto after = rank_of(network)) ranks_.insert(*after);
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
        ++own.num_connections;
        Connection& connection = connections_[id];
        connection = {.network = network, .since = ++num_changes_};
        own.interruptible.emplace(connection.since, id);
    });
}

void ConnectionTable::set_interruptible(Id id, bool interruptible) {
    const auto found = connections_.find(id);
    if (found == connections_.end()) return;
    Connection& connection = found->second;
    if (interruptible == (connection.since != 0)) return;
    change(networks_.at(connection.network), [&](Network& own) {
        if (interruptible) {
            connection.since = ++num_changes_;
            own.interruptible.emplace(connection.since, id);
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
