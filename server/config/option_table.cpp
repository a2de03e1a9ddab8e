#include "server/config/option_table.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace solard::server {
namespace {

constexpr double one_gib = 1024.0 * 1024 * 1024;
constexpr double one_day = 86400;

// Returns the Levenshtein distance, by which suggestion_for() finds similar names.
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
        Option{
            "Model", "model", &A::model, SOLARD_DEFAULT_MODEL,
            "Hugging Face folder of a Llama or Mistral model, or its name in the local Hugging Face cache"},
        Option{"Model", "served-model-name", &A::served_model_name, "",
               "model name that clients use (repeatable; the first is the main one)"},
        Option{"Model", "chat-template", &A::chat_template, "",
               "chat template to use instead of the model's own: a file, or solar, chatml, llama2, llama3, "
               "mistral, "
               "zephyr or vicuna"},
        Option{"Model", "dtype", &A::dtype, "auto",
               "type of the computation; auto = type of most weights of the model, or bf16 if it is fp32", 0,
               0, "auto|bf16|fp16"},
        Option{"Network", "host", &A::host, "127.0.0.1", "IP address to listen on"},
        Option{"Network", "port", &A::port, "8000", "port to listen on; 0 = any free port", 0, 65535},
        Option{"Network", "unix-socket", &A::unix_socket, "",
               "path of a Unix socket to listen on instead of host and port"},
        Option{"Network", "allow-anonymous", &A::allow_anonymous, "",
               "let clients on other machines use the server without an API key"},
        Option{"Network", "api-key-file", &A::api_key_file, "",
               "file of the API keys that clients must send ('solard keygen' makes keys)"},
        Option{
            "Network", "api-key", &A::api_key, "",
            "one API key that clients may send; a file is safer, because ps shows the options of a program",
            0, 0, "", false, true},
        Option{"Network", "allowed-hosts", &A::allowed_hosts, "",
               "host name that clients may use besides IP addresses and localhost (repeatable)"},
        Option{"Network", "allowed-origins", &A::allowed_origins, "",
               "origin whose pages may use the API, such as https://example.com; * = all (repeatable)"},
        Option{"Network", "strict-params", &A::strict_params, "", "refuse requests that have unknown fields"},
        Option{"Engine", "device", &A::device, "auto",
               "device that runs the model; auto = cuda, or cpu if no NVIDIA driver and no device is found",
               0, 0, "auto|cpu|cuda"},
        Option{"Engine", "gpu-memory-utilization", &A::gpu_memory_utilization, "0.9",
               "share of the GPU's memory to use; the part that the model does not need is the KV cache", 0.1,
               0.98},
        Option{"Engine", "cublaslt", &A::cublaslt, "", "path of libcublasLt.so.13 or of its folder"},
        Option{"Engine", "deterministic", &A::deterministic, "",
               "on a GPU, make each answer independent of the other requests that run; this is slower"},
        Option{"Engine", "threads", &A::threads, "0", "number of CPU threads; 0 = one per core", 0, 1024},
        Option{"Engine", "kv-cache-memory", Bytes{&A::kv_cache_memory}, "1GiB",
               "size of the KV cache on the CPU", 1024, 4096 * one_gib},
        Option{"Engine", "max-model-len", &A::max_model_len, "0",
               "context length in tokens, at most the model's own; 0 = the model's own", 0, 1 << 20},
        Option{"Engine", "max-num-seqs", &A::max_num_seqs, "64",
               "maximum number of sequences that run at the same time", 1, 4096},
        Option{"Engine", "max-num-batched-tokens", &A::max_num_batched_tokens, "0",
               "maximum number of tokens in one step; 0 = measured at start, up to 512", 0, 1 << 16},
        Option{"Engine", "no-prefix-cache", &A::no_prefix_cache, "",
               "compute every prompt in full, even if the KV cache already holds its beginning"},
        Option{"Engine", "speculation", &A::speculation, "on",
               "guess repeated text ahead and verify it; the answers do not change (except on a GPU without "
               "--deterministic)",
               0, 0, "on|off"},
        Option{"Engine", "max-queued-requests", &A::max_queued_requests, "256",
               "maximum number of choices that wait (a request with n = 4 counts as four)", 0, 1 << 20},
        Option{"Engine", "max-queued-tokens", &A::max_queued_tokens, "524288",
               "maximum number of prompt tokens that wait", 1, 1 << 30},
        Option{"Engine", "queue-timeout", &A::queue_timeout, "60",
               "seconds that a request may wait before it starts", 0.001, one_day},
        Option{"Engine", "request-timeout", &A::request_timeout, "600",
               "seconds that a request may take in all", 0.001, one_day},
        Option{"Engine", "engine-timeout", &A::engine_timeout, "30",
               "seconds without progress after which the engine counts as failed", 0.001, one_day},
        Option{"Limits", "max-connections", &A::max_connections, "12000",
               "maximum number of open connections", 1, 1 << 20},
        Option{"Limits", "max-body-size", Bytes{&A::max_body_size}, "4MiB", "largest size of a request body",
               1024, one_gib},
        Option{"Limits", "max-header-size", Bytes{&A::max_header_size}, "16KiB",
               "largest size of a header block", 1024, 1024.0 * 1024},
        Option{"Limits", "max-waiting-memory", Bytes{&A::max_waiting_memory}, "512MiB",
               "maximum total size of unfinished input, unread answers and stored responses", 1 << 20,
               4096 * one_gib},
        Option{"Limits", "max-prompt-logprobs", &A::max_prompt_logprobs, "1048576",
               "maximum number of log-probabilities of prompt tokens and their alternatives in one answer", 0,
               1 << 30},
        Option{"Limits", "grammar-timeout", &A::grammar_timeout, "1",
               "seconds that it may take to compile the schema or grammar of a request", 0.001, 60},
        Option{"Limits", "grammar-memory", Bytes{&A::grammar_memory}, "1GiB",
               "largest size of the process that compiles it", 1 << 27, 64 * one_gib},
        Option{"Limits", "grammar-cache-size", Bytes{&A::grammar_cache_size}, "64MiB",
               "maximum total size of compiled schemas and grammars that are kept", 0, 64 * one_gib},
        Option{"Limits", "header-timeout", &A::header_timeout, "10",
               "seconds in which a whole header block must arrive", 0.001, one_day},
        Option{"Limits", "body-timeout", &A::body_timeout, "30",
               "seconds in which a whole request body must arrive", 0.001, one_day},
        Option{"Limits", "idle-timeout", &A::idle_timeout, "75",
               "seconds that a connection may wait for its next request", 0.001, one_day},
        Option{"Limits", "write-timeout", &A::write_timeout, "30",
               "seconds in which a client must accept at least 3 kB of an answer", 0.001, one_day},
        Option{"Limits", "keep-alive-interval", &A::keep_alive_interval, "15",
               "seconds of silence on a stream before keep-alive bytes are sent", 0.001, one_day},
        Option{"Limits", "resume-timeout", &A::resume_timeout, "30",
               "seconds that a resumable response continues without a reader", 0.001, 300},
        Option{"WebSocket", "ws-max-message-size", Bytes{&A::ws_max_message_size}, "1MiB",
               "largest size of a client's message", 1024, one_gib},
        Option{"WebSocket", "ws-max-in-flight", &A::ws_max_in_flight, "16",
               "maximum number of responses in flight on one socket", 1, 4096},
        Option{"WebSocket", "ws-max-lanes", &A::ws_max_lanes, "32",
               "maximum number of stream ids that one socket may use in its life", 1, 4096},
        Option{"WebSocket", "ws-max-waiting", &A::ws_max_waiting, "64",
               "maximum number of requests that wait on one socket", 0, 4096},
        Option{"WebSocket", "ws-max-waiting-size", Bytes{&A::ws_max_waiting_size}, "4MiB",
               "maximum total size of the requests that wait on one socket", 1024, one_gib},
        Option{"WebSocket", "ws-max-per-key", &A::ws_max_per_key, "32",
               "maximum number of open sockets of one API key", 1, 1 << 20},
        Option{"WebSocket", "ws-idle-timeout", &A::ws_idle_timeout, "3600",
               "seconds without messages and responses after which a socket is closed", 0.001, one_day},
        Option{"WebSocket", "ws-max-age", &A::ws_max_age, "0",
               "age in seconds after which a socket takes no new requests; 0 = no limit", 0, 365 * one_day},
        Option{"WebSocket", "ws-ping-interval", &A::ws_ping_interval, "30",
               "seconds of silence before a ping; half as many while a response is in flight", 0.001,
               one_day},
        Option{"WebSocket", "ws-pong-timeout", &A::ws_pong_timeout, "20",
               "seconds that a ping may stay unanswered", 0.001, one_day},
        Option{"Process", "drain-timeout", &A::drain_timeout, "60",
               "seconds that running answers may take after SIGTERM", 0, one_day},
        Option{"Process", "log-level", &A::log_level, "info", "lowest level of log lines to write", 0, 0,
               "error|warning|info|debug"},
        Option{"Process", "metrics-compat", &A::metrics_compat, "",
               "other names under which /metrics also reports its values", 0, 0, "vllm"},
        Option{"Process", "config", &A::config, "", "configuration file to read", 0, 0, "", true},
        Option{"Process", "check-config", &A::check_config, "", "print the effective values and exit", 0, 0,
               "", true},
        Option{"Process", "list-devices", &A::list_devices, "",
               "print the devices and whether they are usable, and exit", 0, 0, "", true},
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
