#include "server/config/option_table.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <tuple>
#include <utility>

namespace solard::server {
namespace {

constexpr double one_gib = 1024.0 * 1024 * 1024;
constexpr double one_day = 86400;

// Levenshtein distance, for "did you mean".
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i);
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substitution = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = std::exchange(row[j], std::min({substitution, row[j] + 1, row[j - 1] + 1}));
        }
    }
    return row.back();
}

}  // namespace

std::span<const Option> option_table() {
    using A = AppConfig;
    static const std::array options{
        Option{"Model", "model", &A::model, SOLARD_DEFAULT_MODEL, "Hugging Face folder to serve"},
        Option{"Model", "served-model-name", &A::served_model_name, "",
               "name clients use (repeatable; the first is the main one)"},
        Option{"Model", "chat-template", &A::chat_template, "", "override an unknown template", 0, 0,
               "solar"},
        Option{"Model", "dtype", &A::dtype, "auto", "compute type", 0, 0, "auto|bf16|fp16"},
        Option{"Network", "host", &A::host, "127.0.0.1", "address to listen on"},
        Option{"Network", "port", &A::port, "8000", "port to listen on; 0 = any free one", 0, 65535},
        Option{"Network", "unix-socket", &A::unix_socket, "", "listen on this path instead of host and port"},
        Option{"Network", "allow-anonymous", &A::allow_anonymous, "", "serve other hosts without an API key"},
        Option{"Network", "api-key-file", &A::api_key_file, "",
               "keys that clients must send ('solard keygen' makes them)"},
        Option{"Network", "allowed-hosts", &A::allowed_hosts, "",
               "host name clients may use beside addresses and localhost (repeatable)"},
        Option{"Network", "allowed-origins", &A::allowed_origins, "",
               "origin whose pages may use the API, as https://example.com; * = all (repeatable)"},
        Option{"Network", "strict-params", &A::strict_params, "", "refuse fields that are not known"},
        Option{"Engine", "device", &A::device, "auto", "where the model runs", 0, 0, "auto|cpu|cuda"},
        Option{"Engine", "gpu-memory-utilization", &A::gpu_memory_utilization, "0.9",
               "part of the GPU's memory to take; what the model leaves of it is KV cache", 0.1, 0.98},
        Option{"Engine", "cublaslt", &A::cublaslt, "", "file or folder of libcublasLt.so.13"},
        Option{"Engine", "deterministic", &A::deterministic, "",
               "on a GPU: the same tokens whatever runs beside a request; slower"},
        Option{"Engine", "threads", &A::threads, "0", "CPU threads; 0 = one per core", 0, 1024},
        Option{"Engine", "kv-cache-memory", Bytes{&A::kv_cache_memory}, "1GiB",
               "memory of the KV cache on CPU", 1024, 4096 * one_gib},
        Option{"Engine", "max-model-len", &A::max_model_len, "0", "context in tokens; 0 = the model's own", 0,
               1 << 20},
        Option{"Engine", "max-num-seqs", &A::max_num_seqs, "64", "sequences that run together", 1, 4096},
        Option{"Engine", "max-num-batched-tokens", &A::max_num_batched_tokens, "0",
               "tokens of one step; 0 = timed at start, up to 512", 0, 1 << 16},
        Option{"Engine", "no-prefix-cache", &A::no_prefix_cache, "",
               "compute every prompt whole, also what is in the KV cache already"},
        Option{"Engine", "speculation", &A::speculation, "on",
               "guess repetitions ahead and verify them; the answers are the same (on a GPU with "
               "--deterministic)",
               0, 0, "on|off"},
        Option{"Engine", "max-queued-requests", &A::max_queued_requests, "256",
               "choices of requests that may wait", 0, 1 << 20},
        Option{"Engine", "max-queued-tokens", &A::max_queued_tokens, "524288", "prompt tokens that may wait",
               1, 1 << 30},
        Option{"Engine", "queue-timeout", &A::queue_timeout, "60", "seconds a request may wait", 0.001,
               one_day},
        Option{"Engine", "request-timeout", &A::request_timeout, "600", "seconds a request may take", 0.001,
               one_day},
        Option{"Engine", "engine-timeout", &A::engine_timeout, "30",
               "seconds without progress after which the engine has failed", 0.001, one_day},
        Option{"Limits", "max-connections", &A::max_connections, "12000", "connections in all", 1, 1 << 20},
        Option{"Limits", "max-body-size", Bytes{&A::max_body_size}, "4MiB", "size of a request body", 1024,
               one_gib},
        Option{"Limits", "max-header-size", Bytes{&A::max_header_size}, "16KiB", "size of a header block",
               1024, 1024.0 * 1024},
        Option{"Limits", "header-timeout", &A::header_timeout, "10", "seconds for a header block", 0.001,
               one_day},
        Option{"Limits", "body-timeout", &A::body_timeout, "30", "seconds for a request body", 0.001,
               one_day},
        Option{"Limits", "idle-timeout", &A::idle_timeout, "75", "seconds between requests", 0.001, one_day},
        Option{"Limits", "write-timeout", &A::write_timeout, "30",
               "seconds in which a client that is written to must take 3 kB", 0.001, one_day},
        Option{"Limits", "keep-alive-interval", &A::keep_alive_interval, "15",
               "seconds of silence on a stream before idle bytes", 0.001, one_day},
        Option{"Limits", "resume-timeout", &A::resume_timeout, "30",
               "seconds a resumable response goes on without a reader", 0.001, 300},
        Option{"WebSocket", "ws-max-message-size", Bytes{&A::ws_max_message_size}, "1MiB",
               "size of a client's message", 1024, one_gib},
        Option{"WebSocket", "ws-max-in-flight", &A::ws_max_in_flight, "16", "responses at once on a socket",
               1, 4096},
        Option{"WebSocket", "ws-max-lanes", &A::ws_max_lanes, "32", "stream ids in the life of a socket", 1,
               4096},
        Option{"WebSocket", "ws-max-waiting", &A::ws_max_waiting, "64", "requests that may wait on a socket",
               0, 4096},
        Option{"WebSocket", "ws-max-waiting-size", Bytes{&A::ws_max_waiting_size}, "4MiB",
               "size of the requests that wait on a socket", 1024, one_gib},
        Option{"WebSocket", "ws-max-per-key", &A::ws_max_per_key, "32", "sockets of one API key", 1, 1 << 20},
        Option{"WebSocket", "ws-idle-timeout", &A::ws_idle_timeout, "3600",
               "seconds without a message or a response in flight", 0.001, one_day},
        Option{"WebSocket", "ws-max-age", &A::ws_max_age, "0",
               "seconds a socket may take new requests; 0 = any", 0, 365 * one_day},
        Option{"WebSocket", "ws-ping-interval", &A::ws_ping_interval, "30",
               "seconds of silence before a ping; half of them while a response is in flight", 0.001,
               one_day},
        Option{"WebSocket", "ws-pong-timeout", &A::ws_pong_timeout, "20", "seconds a ping may go unanswered",
               0.001, one_day},
        Option{"Process", "drain-timeout", &A::drain_timeout, "60",
               "seconds for running answers after SIGTERM", 0, one_day},
        Option{"Process", "log-level", &A::log_level, "info", "what is logged", 0, 0,
               "error|warning|info|debug"},
        Option{"Process", "metrics-compat", &A::metrics_compat, "", "names that /metrics has beside its own",
               0, 0, "vllm"},
        Option{"Process", "config", &A::config, "", "configuration file", 0, 0, "", true},
        Option{"Process", "check-config", &A::check_config, "", "print the effective values and exit", 0, 0,
               "", true},
        Option{"Process", "list-devices", &A::list_devices, "", "print usable devices and exit", 0, 0, "",
               true},
        Option{"Process", "version", &A::version, "", "print the version and exit", 0, 0, "", true},
        Option{"Process", "help", &A::help, "", "print this help and exit", 0, 0, "", true},
    };
    return options;
}

const Option* find_option(std::string_view name) {
    const auto table = option_table();
    const auto it = std::ranges::find(table, name, &Option::name);
    return it == table.end() ? nullptr : &*it;
}

bool is_flag(const Option& option) {
    return std::holds_alternative<bool AppConfig::*>(option.member);
}

std::string environment_name(std::string_view option) {
    std::string name = "SOLARD_";
    for (const char c : option) name += c == '-' ? '_' : static_cast<char>(std::toupper(c));
    return name;
}

std::string suggestion_for(std::string_view name) {
    std::string_view best;
    std::size_t best_distance = 4;
    for (const auto& option : option_table()) {
        const std::size_t distance = edit_distance(name, option.name);
        if (distance < best_distance) std::tie(best_distance, best) = std::pair{distance, option.name};
    }
    return best.empty() ? "; see --help" : "; did you mean '" + std::string(best) + "'?";
}

}  // namespace solard::server
