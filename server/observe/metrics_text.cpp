#include "server/observe/metrics_text.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <fstream>

#include "server/api/error.hpp"
#include "server/api/json.hpp"

namespace solard::server {
namespace {

enum class Names : std::uint8_t { ours, vllm_too };

std::string escaped(std::string_view label_value) {
    std::string out;
    for (const char c : label_value) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

class Exposition {
  public:
    Exposition(std::string_view model_name, bool vllm_names)
        : model_label_("model_name=\"" + escaped(model_name) + "\""), vllm_names_(vllm_names) {
        out_.reserve(32 << 10);
    }

    template <class Number>
    void gauge(Names names, std::string_view name, std::string_view help, Number value) {
        for_each_name(names, name, help, "gauge",
                      [&](const std::string& full) { sample(full, "", static_cast<double>(value)); });
    }
    void counter(Names names, std::string_view name, std::string_view help, double value) {
        for_each_name(names, name, help, "counter",
                      [&](const std::string& full) { sample(full, "", value); });
    }
    // Writes a metric family whose samples differ in one label. `append(add)` must call add(label value,
    // value) for each sample.
    template <class Append>
    void labelled(Names names, std::string_view type, std::string_view name, std::string_view help,
                  std::string_view label, Append&& append) {
        for_each_name(names, name, help, type, [&](const std::string& full) {
            append([&](std::string_view value_of_label, double value) {
                sample(full, "," + std::string(label) + "=\"" + escaped(value_of_label) + "\"", value);
            });
        });
    }
    void histogram(Names names, std::string_view name, std::string_view help, const Histogram& histogram) {
        for_each_name(names, name, help, "histogram", [&](const std::string& full) {
            std::uint64_t cumulative = 0;
            for (std::size_t i = 0; i <= histogram.bounds().size(); ++i) {
                cumulative += histogram.count_in(i);
                std::string bound = "+Inf";
                if (i < histogram.bounds().size()) {
                    bound.clear();
                    append_json_number(bound, histogram.bounds()[i]);
                }
                sample(full + "_bucket", ",le=\"" + bound + "\"", static_cast<double>(cumulative));
            }
            sample(full + "_sum", "", histogram.sum());
            sample(full + "_count", "", static_cast<double>(cumulative));
        });
    }
    std::string take() { return std::move(out_); }

  private:
    template <class Write>
    void for_each_name(Names names, std::string_view name, std::string_view help, std::string_view type,
                       Write&& write) {
        const auto family = [&](std::string_view prefix) {
            const std::string full = std::string(prefix).append(name);
            out_.append("# HELP ").append(full).append(" ").append(help).append("\n# TYPE ");
            out_.append(full).append(" ").append(type).append("\n");
            write(full);
        };
        family("solard_");
        if (vllm_names_ && names == Names::vllm_too) family("vllm:");
    }
    void sample(std::string_view name, std::string_view labels, double value) {
        out_.append(name).append("{").append(model_label_).append(labels).append("} ");
        append_json_number(out_, value);
        out_ += '\n';
    }

    std::string model_label_;
    bool vllm_names_;
    std::string out_;
};

double resident_bytes() {
    double total = 0;
    double resident = 0;
    std::ifstream("/proc/self/statm") >> total >> resident;
    return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void append_engine(Exposition& text, const EngineSnapshot& engine) {
    using enum Names;
    const auto number = [](auto value) { return static_cast<double>(value); };
    const double used = number(engine.num_blocks - engine.num_free_blocks);
    text.gauge(vllm_too, "num_requests_running", "Number of sequences that are running.", engine.num_running);
    text.gauge(vllm_too, "num_requests_waiting", "Number of sequences that are waiting to run.",
               engine.num_waiting);
    text.gauge(vllm_too, "kv_cache_usage_perc", "Share of the KV cache blocks that are in use, from 0 to 1.",
               engine.num_blocks == 0 ? 0 : used / engine.num_blocks);
    text.gauge(ours, "kv_cache_blocks", "Total number of KV cache blocks.", engine.num_blocks);
    text.gauge(ours, "kv_cache_blocks_cached",
               "Number of KV cache blocks that hold a shareable prefix, in use or not.",
               engine.num_cached_blocks);
    text.counter(vllm_too, "num_preemptions_total",
                 "Number of times that a running sequence was preempted, to be computed again later.",
                 number(engine.num_preemptions));
    text.counter(vllm_too, "prefix_cache_queries_total",
                 "Number of prompt tokens that were looked up in the prefix cache.",
                 number(engine.prefix_cache_queries));
    text.counter(vllm_too, "prefix_cache_hits_total",
                 "Number of prompt tokens that were found in the prefix cache.",
                 number(engine.prefix_cache_hits));
    text.counter(vllm_too, "generation_tokens_total", "Number of tokens that were generated.",
                 number(engine.generated_tokens));
    text.counter(vllm_too, "spec_decode_num_draft_tokens_total",
                 "Number of draft tokens that speculation guessed ahead.", number(engine.draft_tokens));
    text.counter(vllm_too, "spec_decode_num_accepted_tokens_total",
                 "Number of draft tokens that the model accepted.", number(engine.accepted_draft_tokens));
    text.counter(ours, "engine_steps_total", "Number of steps that the engine has completed.",
                 number(engine.steps));
    text.gauge(ours, "engine_step_seconds", "Duration in seconds of the engine's last step.",
               number(engine.step_time.count()) / 1e9);
    text.gauge(ours, "tokens_per_second",
               "Number of tokens generated per second, over the engine's last second of work.",
               engine.tokens_per_second);
}

void append_requests(Exposition& text, const Metrics& metrics) {
    using enum Names;
    text.counter(vllm_too, "prompt_tokens_total", "Number of prompt tokens of the requests that have ended.",
                 static_cast<double>(metrics.prompt_tokens()));
    text.labelled(vllm_too, "counter", "request_success_total",
                  "Number of choices that have ended, by the reason why they finished.", "finished_reason",
                  [&](auto&& add) {
                      add("stop", static_cast<double>(metrics.finished(FinishReason::stop)));
                      add("length", static_cast<double>(metrics.finished(FinishReason::length)));
                      add("abort", static_cast<double>(metrics.finished(FinishReason::cancelled)));
                      add("error", static_cast<double>(metrics.finished(FinishReason::error)));
                  });
    text.histogram(vllm_too, "time_to_first_token_seconds",
                   "Time in seconds from the acceptance of a request to the first token of a choice.",
                   metrics.first_token);
    text.histogram(vllm_too, "inter_token_latency_seconds",
                   "Time in seconds between two successive tokens of a choice.", metrics.token_gap);
    text.histogram(vllm_too, "e2e_request_latency_seconds",
                   "Time in seconds from the acceptance of a request to its end.", metrics.latency);
    text.histogram(vllm_too, "request_queue_time_seconds",
                   "Time in seconds that a request spent in the waiting queue.", metrics.queue);
    text.histogram(vllm_too, "request_inference_time_seconds",
                   "Time in seconds from the moment when a request left the queue to its end.",
                   metrics.inference);
    text.histogram(vllm_too, "request_prefill_time_seconds",
                   "Time in seconds from the moment when a request left the queue to its first token.",
                   metrics.prefill);
    text.histogram(vllm_too, "request_decode_time_seconds",
                   "Time in seconds from the first to the last token of a request.", metrics.decode);
    text.histogram(vllm_too, "request_prompt_tokens", "Number of prompt tokens of a request.",
                   metrics.prompt_size);
    text.histogram(vllm_too, "request_generation_tokens",
                   "Number of tokens generated for a request, over all its choices.", metrics.answer_size);
    text.labelled(ours, "counter", "request_errors_total",
                  "Number of requests that were refused or failed, by error code.", "code", [&](auto&& add) {
                      for (const auto& [code, count] : metrics.errors())
                          add(error_info(code).name, static_cast<double>(count));
                  });
    text.counter(
        ours, "requests_displaced_total",
        "Number of waiting requests that lost their place to a client which has used the server less.",
        static_cast<double>(metrics.num_displaced()));
    text.labelled(ours, "counter", "http_requests_total", "Number of HTTP answers, by status.", "status",
                  [&](auto&& add) {
                      for (const auto& [status, count] : metrics.answers())
                          add(std::to_string(status), static_cast<double>(count));
                  });
}

void append_memory(Exposition& text, const MetricsNow& now) {
    using enum Names;
    text.gauge(ours, "waiting_memory_bytes",
               "Bytes of unfinished input, waiting requests, unread answers and stored responses; at most "
               "--max-waiting-memory.",
               now.waiting_memory_bytes);
    text.counter(
        ours, "waiting_memory_shed_total",
        "Number of times that the server refused or dropped data to stay within --max-waiting-memory.",
        static_cast<double>(now.num_waiting_memory_shed));
    text.gauge(ours, "stored_responses", "Number of stored responses.", now.num_stored_responses);
    text.gauge(ours, "stored_response_bytes", "Bytes that the stored responses hold.",
               now.stored_response_bytes);
    text.gauge(ours, "stored_response_owners",
               "Number of owners of stored responses. An owner is an API key, or an address of callers "
               "without a key.",
               now.num_stored_response_owners);
}

void append_grammars(Exposition& text, const GrammarCounts& grammars) {
    using enum Names;
    text.counter(ours, "grammars_compiled_total", "Number of schemas and grammars that were compiled.",
                 static_cast<double>(grammars.compiled));
    text.counter(ours, "grammars_refused_total",
                 "Number of schemas and grammars that were wrong or took too much time or memory to compile.",
                 static_cast<double>(grammars.refused));
    text.counter(ours, "grammar_cache_hits_total",
                 "Number of requests whose schema or grammar was compiled already.",
                 static_cast<double>(grammars.cache_hits));
    text.counter(ours, "grammar_compile_seconds_total", "Seconds spent on compiling schemas and grammars.",
                 grammars.compile_seconds);
}

}  // namespace

std::string metrics_text(const Metrics& metrics, const MetricsNow& now, bool vllm_names) {
    using enum Names;
    Exposition text(now.model_name, vllm_names);
    append_engine(text, now.engine);
    append_requests(text, metrics);
    text.gauge(ours, "answers_in_flight", "Number of answers that are in progress.", now.num_in_flight);
    text.gauge(ours, "connections", "Number of open connections, including WebSockets.", now.num_connections);
    text.gauge(ours, "websockets", "Number of open WebSockets.", now.num_sockets);
    append_memory(text, now);
    append_grammars(text, now.grammars);
    text.labelled(ours, "gauge", "state", "State of the server: 1 for the current state, 0 for all others.",
                  "state", [&](auto&& add) {
                      for (const std::string_view state : {"starting", "ready", "draining", "failed"})
                          add(state, state == now.state ? 1 : 0);
                  });
    text.labelled(ours, "gauge", "build_info", "Version of the server as a label; the value is always 1.",
                  "version", [&](auto&& add) { add(now.version, 1); });
    text.counter(ours, "log_lines_lost_total",
                 "Number of log lines that were lost because stderr did not accept them.",
                 static_cast<double>(now.log_lines_lost));
    text.gauge(ours, "process_start_time_seconds",
               "Start time of the process in seconds since the Unix epoch.", now.process_start);
    text.counter(ours, "process_cpu_seconds_total", "CPU time in seconds that the process has used.",
                 cpu_seconds());
    text.gauge(ours, "process_resident_memory_bytes", "Resident memory of the process in bytes.",
               resident_bytes());
    return text.take();
}

}  // namespace solard::server
