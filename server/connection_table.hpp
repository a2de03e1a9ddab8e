// Decides which connection is closed if the server has reached its connection limit and another client comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

namespace solard::server {

// The connections that share one limit. A connection is interruptible if closing it loses no answer, for
// example between two requests. A new connection is interruptible, because it has sent nothing yet. The class
// uses neither a clock nor sockets.
class ConnectionTable {
  public:
    using Id = std::uint64_t;

    explicit ConnectionTable(std::size_t capacity) : capacity_(capacity) {}

    bool is_full() const { return connections_.size() >= capacity_; }
    // Returns the connection that must be closed to give a new connection from `network` its place. A network
    // can lose a connection only if it has an interruptible connection. Among the networks that can, the
    // network with the most connections loses its oldest interruptible connection. The new connection counts
    // for `network`, and `network` comes first among networks with equally many connections. Returns nullopt
    // if no network can lose a connection. Also returns nullopt if all networks that can lose a connection
    // have fewer connections than `network`.
    std::optional<Id> victim_for(std::uint64_t network) const;
    // Returns the connection that must be closed for a new connection whose network is not known.
    std::optional<Id> victim() const;

    void add(Id id, std::uint64_t network);
    // set_interruptible() and remove() do nothing if the table does not contain `id`.
    void set_interruptible(Id id, bool interruptible);
    void remove(Id id);

  private:
    struct Network {
        std::size_t num_connections = 0;
        std::map<std::uint64_t, Id> interruptible;  // key: Connection::since
    };
    struct Connection {
        std::uint64_t network = 0;
        std::uint64_t since = 0;  // counter value when it became interruptible; 0: it is not interruptible
    };
    // Networks lose connections in the order of their ranks.
    struct Rank {
        std::size_t num_connections;
        std::uint64_t since;  // Connection::since of `oldest`; different in every rank
        Id oldest;            // the network's oldest interruptible connection
        bool operator<(const Rank& other) const {
            return num_connections != other.num_connections ? num_connections > other.num_connections
                                                            : since < other.since;
        }
    };

    static std::optional<Rank> rank_of(const Network& network);
    template <class Change>
    void change(Network& network, Change apply);

    std::size_t capacity_;
    std::uint64_t num_changes_ = 0;
    std::unordered_map<Id, Connection> connections_;
    std::unordered_map<std::uint64_t, Network> networks_;
    std::set<Rank> ranks_;  // one per network with an interruptible connection
};

}  // namespace solard::server
