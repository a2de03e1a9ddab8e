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
    // `append(add)` calls add(label value, value) for each.
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
    text.gauge(vllm_too, "num_requests_running", "Sequences that run.", engine.num_running);
    text.gauge(vllm_too, "num_requests_waiting", "Sequences that wait.", engine.num_waiting);
    text.gauge(vllm_too, "kv_cache_usage_perc", "Part of the KV blocks in use, 1 = all.",
               engine.num_blocks == 0 ? 0 : used / engine.num_blocks);
    text.gauge(ours, "kv_cache_blocks", "KV blocks in all.", engine.num_blocks);
    text.gauge(ours, "kv_cache_blocks_cached", "KV blocks that hold a prefix to share, in use or not.",
               engine.num_cached_blocks);
    text.counter(vllm_too, "num_preemptions_total", "Sequences preempted, to be computed again.",
                 number(engine.num_preemptions));
    text.counter(vllm_too, "prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache.",
                 number(engine.prefix_cache_queries));
    text.counter(vllm_too, "prefix_cache_hits_total", "Prompt tokens found there.",
                 number(engine.prefix_cache_hits));
    text.counter(vllm_too, "generation_tokens_total", "Tokens generated.", number(engine.generated_tokens));
    text.counter(vllm_too, "spec_decode_num_draft_tokens_total", "Tokens guessed ahead.",
                 number(engine.draft_tokens));
    text.counter(vllm_too, "spec_decode_num_accepted_tokens_total", "Guessed tokens that were right.",
                 number(engine.accepted_draft_tokens));
    text.counter(ours, "engine_steps_total", "Steps of the engine.", number(engine.steps));
    text.gauge(ours, "engine_step_seconds", "Duration of the last step.",
               number(engine.step_time.count()) / 1e9);
    text.gauge(ours, "tokens_per_second", "Tokens generated in the last second of stepping.",
               engine.tokens_per_second);
}

void append_requests(Exposition& text, const Metrics& metrics) {
    using enum Names;
    text.counter(vllm_too, "prompt_tokens_total", "Prompt tokens of requests that ended.",
                 static_cast<double>(metrics.prompt_tokens()));
    text.labelled(vllm_too, "counter", "request_success_total", "Answers that ended, by how.",
                  "finished_reason", [&](auto&& add) {
                      add("stop", static_cast<double>(metrics.finished(FinishReason::stop)));
                      add("length", static_cast<double>(metrics.finished(FinishReason::length)));
                      add("abort", static_cast<double>(metrics.finished(FinishReason::cancelled)));
                      add("error", static_cast<double>(metrics.finished(FinishReason::error)));
                  });
    text.histogram(vllm_too, "time_to_first_token_seconds", "From acceptance to the first token.",
                   metrics.first_token);
    text.histogram(vllm_too, "inter_token_latency_seconds", "Between two tokens of an answer.",
                   metrics.token_gap);
    text.histogram(vllm_too, "e2e_request_latency_seconds", "From acceptance to the end.", metrics.latency);
    text.histogram(vllm_too, "request_queue_time_seconds", "In the waiting queue.", metrics.queue);
    text.histogram(vllm_too, "request_inference_time_seconds", "From the queue to the end.",
                   metrics.inference);
    text.histogram(vllm_too, "request_prefill_time_seconds", "From the queue to the first token.",
                   metrics.prefill);
    text.histogram(vllm_too, "request_decode_time_seconds", "From the first token to the last.",
                   metrics.decode);
    text.histogram(vllm_too, "request_prompt_tokens", "Tokens of a prompt.", metrics.prompt_size);
    text.histogram(vllm_too, "request_generation_tokens", "Tokens of a prompt's answers.",
                   metrics.answer_size);
    text.labelled(ours, "counter", "request_errors_total", "Requests refused or failed, by code.", "code",
                  [&](auto&& add) {
                      for (const auto& [code, count] : metrics.errors())
                          add(error_info(code).name, static_cast<double>(count));
                  });
    text.labelled(ours, "counter", "http_requests_total", "HTTP answers, by status.", "status",
                  [&](auto&& add) {
                      for (const auto& [status, count] : metrics.answers())
                          add(std::to_string(status), static_cast<double>(count));
                  });
}

}  // namespace

std::string metrics_text(const Metrics& metrics, const MetricsNow& now, bool vllm_names) {
    using enum Names;
    Exposition text(now.model_name, vllm_names);
    append_engine(text, now.engine);
    append_requests(text, metrics);
    text.gauge(ours, "answers_in_flight", "Answers that somebody waits for.", now.num_in_flight);
    text.gauge(ours, "connections", "Open connections, WebSockets included.", now.num_connections);
    text.gauge(ours, "websockets", "Open WebSockets.", now.num_sockets);
    text.labelled(ours, "gauge", "state", "1 for the state that the server is in.", "state", [&](auto&& add) {
        for (const std::string_view state : {"starting", "ready", "draining", "failed"})
            add(state, state == now.state ? 1 : 0);
    });
    text.labelled(ours, "gauge", "build_info", "Always 1; the version is a label.", "version",
                  [&](auto&& add) { add(now.version, 1); });
    text.gauge(ours, "process_start_time_seconds", "Start of the process, since 1970.", now.process_start);
    text.counter(ours, "process_cpu_seconds_total", "CPU time of the process.", cpu_seconds());
    text.gauge(ours, "process_resident_memory_bytes", "Resident memory of the process.", resident_bytes());
    return text.take();
}

}  // namespace solard::server
