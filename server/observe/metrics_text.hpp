// The text that Prometheus scrapes.
#pragma once

#include <string>
#include <string_view>

#include "inference/request.hpp"
#include "server/observe/metrics.hpp"

namespace solard::server {

// What is true at the moment of the scrape.
struct MetricsNow {
    std::string_view version;
    std::string_view model_name;
    std::string_view state;  // "ready"
    EngineSnapshot engine;
    std::size_t num_in_flight = 0;
    std::size_t num_connections = 0;
    std::size_t num_sockets = 0;  // of them
    double process_start = 0;     // Unix seconds
};

// Text exposition format 0.0.4. Names are solard_* with vLLM's suffixes; with `vllm_names` what vLLM has too
// stands there once more under its name. Every label's values are of a fixed set.
std::string metrics_text(const Metrics& metrics, const MetricsNow& now, bool vllm_names);

}  // namespace solard::server
