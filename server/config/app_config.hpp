// The configuration that an operator can set. One option table defines the flags, the environment variables,
// the file keys, --help and --check-config.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace solard::server {

// The effective values. Every member except `sources` has a row in the table of option_table.cpp. The table
// also holds the defaults.
struct AppConfig {
    std::string model;
    std::vector<std::string> served_model_name;
    std::string chat_template;
    std::string dtype;

    std::string host;
    std::int64_t port = 0;
    std::string unix_socket;
    bool allow_anonymous = false;
    std::string api_key_file;
    std::string api_key;  // secret; empty = none
    std::vector<std::string> allowed_hosts;
    std::vector<std::string> allowed_origins;
    bool strict_params = false;

    std::string device;
    double gpu_memory_utilization = 0;  // share of the device's memory, in (0, 1)
    std::string cublaslt;
    bool deterministic = false;
    std::int64_t threads = 0;          // 0: one per core
    std::int64_t kv_cache_memory = 0;  // bytes
    std::int64_t max_model_len = 0;    // tokens; 0: the context length of the model
    std::int64_t max_num_seqs = 0;
    std::int64_t max_num_batched_tokens = 0;  // 0: measured at start
    bool no_prefix_cache = false;
    std::string speculation;
    std::int64_t max_queued_requests = 0;
    std::int64_t max_queued_tokens = 0;
    std::chrono::milliseconds queue_timeout{};
    std::chrono::milliseconds request_timeout{};
    std::chrono::milliseconds engine_timeout{};

    std::int64_t max_connections = 0;
    std::int64_t max_body_size = 0;       // bytes
    std::int64_t max_header_size = 0;     // bytes
    std::int64_t max_waiting_memory = 0;  // bytes
    std::int64_t max_prompt_logprobs = 0;
    std::chrono::milliseconds grammar_timeout{};
    std::int64_t grammar_memory = 0;      // bytes
    std::int64_t grammar_cache_size = 0;  // bytes
    std::chrono::milliseconds header_timeout{};
    std::chrono::milliseconds body_timeout{};
    std::chrono::milliseconds idle_timeout{};
    std::chrono::milliseconds write_timeout{};
    std::chrono::milliseconds keep_alive_interval{};
    std::chrono::milliseconds resume_timeout{};

    std::int64_t ws_max_message_size = 0;  // bytes
    std::int64_t ws_max_in_flight = 0;
    std::int64_t ws_max_lanes = 0;
    std::int64_t ws_max_waiting = 0;
    std::int64_t ws_max_waiting_size = 0;  // bytes
    std::int64_t ws_max_per_key = 0;
    std::chrono::milliseconds ws_idle_timeout{};
    std::chrono::milliseconds ws_max_age{};  // 0: no limit
    std::chrono::milliseconds ws_ping_interval{};
    std::chrono::milliseconds ws_pong_timeout{};

    std::chrono::milliseconds drain_timeout{};
    std::string log_level;
    std::string metrics_compat;

    std::string config;
    bool check_config = false;
    bool list_devices = false;
    bool version = false;
    bool help = false;

    // The source of each value by option name: "default", "file", "environment" or "command line".
    std::map<std::string, std::string, std::less<>> sources;
};

}  // namespace solard::server
