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
// example between two requests. A new connection is interruptible, because it has sent nothing yet. Uses
// neither a clock nor sockets.
class ConnectionTable {
  public:
    using Id = std::uint64_t;

    explicit ConnectionTable(std::size_t capacity) : capacity_(capacity) {}

    bool is_full() const { return connections_.size() >= capacity_; }
    // Returns the connection to close, so that one from `network` gets its place. It belongs to the network
    // with the most connections of those that have an interruptible one; the new connection is counted, and
    // of two equal networks the own one is chosen. It is the network's oldest interruptible connection. Empty
    // if there is none, or if `network` itself has the most connections but no interruptible one: no network
    // loses a connection to one that has more.
    std::optional<Id> victim_for(std::uint64_t network) const;
    // Returns the victim for a connection whose network is not known.
    std::optional<Id> victim() const;

    void add(Id id, std::uint64_t network);
    // These two do nothing if the table does not contain `id`.
    void set_interruptible(Id id, bool interruptible);
    void remove(Id id);

  private:
    struct Network {
        std::size_t num_connections = 0;
        std::map<std::uint64_t, Id> interruptible;  // by Connection::since
    };
    struct Connection {
        std::uint64_t network = 0;
        std::uint64_t since = 0;  // number of the change that made it interruptible; 0: not interruptible
    };
    // The first rank is that of the network which loses a connection first.
    struct Rank {
        std::size_t num_connections;
        std::uint64_t since;  // of the network's oldest interruptible connection; no other rank has it
        Id oldest;
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
