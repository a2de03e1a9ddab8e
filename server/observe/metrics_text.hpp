// Writes the text that Prometheus scrapes.
#pragma once

#include <string>
#include <string_view>

#include "inference/request.hpp"
#include "server/observe/metrics.hpp"

namespace solard::server {

// The values at the moment of the scrape.
struct MetricsNow {
    std::string_view version;
    std::string_view model_name;
    std::string_view state;  // such as "ready"
    EngineSnapshot engine;
    std::size_t num_in_flight = 0;    // generations
    std::size_t num_connections = 0;  // open ones, WebSockets included
    std::size_t num_sockets = 0;      // open WebSockets
    double process_start = 0;         // Unix seconds
};

// Returns all metrics in Prometheus' text exposition format 0.0.4. The names are solard_* with vLLM's
// suffixes. With `vllm_names`, the metrics that vLLM has too are written a second time under vLLM's names.
// The values of every label come from a fixed set.
std::string metrics_text(const Metrics& metrics, const MetricsNow& now, bool vllm_names);

}  // namespace solard::server
