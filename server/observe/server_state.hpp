// The state of the server as a whole: its phase, its metrics, its connections and its budget of memory.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_set>

#include "server/observe/metrics.hpp"
#include "server/observe/waiting_memory.hpp"
#include "server/observe/wakeup.hpp"

namespace solard::server {

enum class ServerPhase : std::uint8_t { starting, ready, draining, failed };

constexpr std::string_view name_of(ServerPhase state) {
    switch (state) {
        case ServerPhase::starting:
            return "starting";
        case ServerPhase::ready:
            return "ready";
        case ServerPhase::draining:
            return "draining";
        case ServerPhase::failed:
            return "failed";
    }
    return "";
}

// I/O thread only, except for load_percent.
struct ServerState {
    explicit ServerState(std::size_t max_waiting_memory = SIZE_MAX) : waiting_memory(max_waiting_memory) {}

    ServerPhase phase = ServerPhase::starting;  // kept up to date by EngineClient
    // Returns true if each connection must end after the HTTP response that it is sending.
    bool is_ending() const { return phase == ServerPhase::draining || phase == ServerPhase::failed; }

    const std::chrono::system_clock::time_point started = std::chrono::system_clock::now();
    std::atomic<int> load_percent{0};  // written by the engine thread while the model loads
    Metrics metrics;
    WaitingMemory waiting_memory;
    std::size_t num_connections = 0;      // open connections, including WebSockets
    std::unordered_set<Wakeup*> sockets;  // one per WebSocket; notified when the server drains
};

}  // namespace solard::server
