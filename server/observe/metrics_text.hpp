// Writes the text that Prometheus scrapes.
#pragma once

#include <string>
#include <string_view>

#include "inference/request.hpp"
#include "server/observe/grammar_counts.hpp"
#include "server/observe/metrics.hpp"

namespace solard::server {

// The values at the moment of the scrape.
struct MetricsNow {
    std::string_view version;
    std::string_view model_name;
    std::string_view state;  // such as "ready"
    EngineSnapshot engine;
    std::size_t num_in_flight = 0;    // number of generations
    std::size_t num_connections = 0;  // open connections, including WebSockets
    std::size_t num_sockets = 0;      // open WebSockets
    std::size_t waiting_memory_bytes = 0;
    std::uint64_t num_waiting_memory_shed = 0;  // since the start
    std::size_t num_stored_responses = 0;
    std::size_t stored_response_bytes = 0;
    std::size_t num_stored_response_owners = 0;
    GrammarCounts grammars = {};
    std::uint64_t log_lines_lost = 0;
    double process_start = 0;  // Unix seconds
};

// Returns all metrics in Prometheus' text exposition format 0.0.4. Every name begins with solard_. If
// vLLM has the same metric, the rest of the name is vLLM's. With `vllm_names`, such a metric is written a
// second time under vLLM's full name. The values of every label come from a fixed set.
std::string metrics_text(const Metrics& metrics, const MetricsNow& now, bool vllm_names);

}  // namespace solard::server
