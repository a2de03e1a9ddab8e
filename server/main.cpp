// The only file that knows server, inference and their backends at once: configuration -> engine -> listener.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <thread>

#include "inference/cpu/cpu_backend.hpp"
#include "inference/model/chat_template.hpp"
#include "inference/model/tensors.hpp"
#include "server/app.hpp"
#include "server/auth/keygen.hpp"
#include "server/config/app_config.hpp"
#include "server/config/version.hpp"
#include "server/devices.hpp"
#include "server/listener.hpp"
#include "server/observe/log.hpp"
#include "server/service.hpp"
#ifdef SOLARD_HAS_CUDA
#include "cuda/cuda_backend.hpp"
#include "cuda/device_probe.hpp"
#endif

namespace solard::server {
namespace {

// A model folder whose every file was checked, before a socket is opened or a weight is read.
struct Model {
    ModelConfig config;
    WeightSource weights;
    ModelTensors tensors;
    Tokenizer tokenizer;
};

result<Model> open_model(const AppConfig& config) {
    auto model_config = load_model_config(config.model);
    if (!model_config) return to_server_error(model_config.error());
    auto weights = WeightSource::open(config.model);
    if (!weights) return to_server_error(weights.error());
    auto tensors = resolve_tensors(*weights, *model_config);
    if (!tensors) return to_server_error(tensors.error());
    auto tokenizer = Tokenizer::load(config.model, model_config->vocab_size);
    if (!tokenizer) return to_server_error(tokenizer.error());
    if (tokenizer->bos() != model_config->bos_token_id)
        return Error{errc::bad_model, config.model + "/config.json: key \"bos_token_id\": expected " +
                                          std::to_string(tokenizer->bos()) + ", as tokenizer.model has it"};
    const auto override_name =
        config.chat_template.empty() ? std::nullopt : std::optional(config.chat_template);
    if (auto known = check_chat_template(config.model, override_name); !known)
        return to_server_error(known.error());
    return Model{*std::move(model_config), *std::move(weights), *std::move(tensors), *std::move(tokenizer)};
}

DType compute_type(const AppConfig& config, DType on_disk) {
    if (config.dtype == "bf16") return DType::bf16;
    if (config.dtype == "fp16") return DType::fp16;
    return on_disk == DType::fp16 ? DType::fp16 : DType::bf16;
}

int num_threads(const AppConfig& config) {
    if (config.threads != 0) return static_cast<int>(config.threads);
    return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

// A line that moves on a terminal, a line every ten per cent elsewhere; nothing for a load of under a second.
class LoadProgress {
  public:
    explicit LoadProgress(std::atomic<int>& percent) : percent_(percent) {}
    void operator()(std::uint64_t done, std::uint64_t total) {
        const int percent = total == 0 ? 100 : static_cast<int>(done * 100 / total);
        percent_ = percent;
        const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
        if (seconds < 1) return;
        if (percent == shown_ || (!terminal_ && percent / 10 == shown_ / 10)) return;
        shown_ = percent;
        if (terminal_) {
            std::fprintf(stderr, "\rloading weights %3d %%%s", percent, percent == 100 ? "\n" : "");
        } else {
            std::fprintf(stderr, "loading weights %d %%\n", percent);
        }
        if (percent == 100) {
            const double gigabytes = static_cast<double>(total) / 1e9;
            std::fprintf(stderr, "loaded %.1f GB in %.1f s, %.1f GB/s\n", gigabytes, seconds,
                         gigabytes / seconds);
        }
    }

  private:
    std::atomic<int>& percent_;
    Clock::time_point begin_ = Clock::now();
    bool terminal_ = isatty(STDERR_FILENO) != 0;
    int shown_ = -1;
};

void print_banner(const App& app, const EngineInfo& info, const std::string& url) {
    const auto& model = app.generation.model;
    std::ostringstream text;
    text << "solard " << version_text << " is ready\n"
         << "  model    " << model.names.front() << ", "
         << static_cast<double>(model.config.num_parameters()) / 1e6 << " M parameters, context "
         << model.context_length << " tokens\n"
         << "  device   " << info.backend << ", " << info.max_num_batched_tokens << " tokens a step\n"
         << "  KV cache " << app.generation.engine.capacity_tokens() << " tokens\n"
         << "  page     " << url << "/\n"
         << "  API      " << url << "/v1\n";
    std::cout << text.str() << std::flush;
}

// The runtime is asked only where the machine shows hardware.
CudaSupport ask_cuda([[maybe_unused]] NvidiaPresence nvidia) {
    CudaSupport support;
#ifdef SOLARD_HAS_CUDA
    support.built = true;
    if (!nvidia.driver) return support;
    const cuda::DeviceProbe probe = cuda::probe_devices();
    support.error = probe.error;
    for (const cuda::DeviceFacts& facts : probe.devices) {
        support.devices.push_back({facts.name, facts.compute_major, facts.compute_minor, facts.memory_bytes});
    }
#endif
    return support;
}

// On the engine's thread.
std::unique_ptr<Backend> make_backend(std::string_view device, const AppConfig& config, const Model& model,
                                      std::int32_t context_length, const OnLoadProgress& on_load_progress) {
    const DType type = compute_type(config, model.tensors.dtype);
    const auto max_num_seqs = static_cast<std::int32_t>(config.max_num_seqs);
    const auto max_num_batched_tokens = static_cast<std::int32_t>(config.max_num_batched_tokens);
#ifdef SOLARD_HAS_CUDA
    if (device == "cuda") {
        cuda::CudaBackendOptions options;
        options.compute_type = type;
        options.gpu_memory_utilization = config.gpu_memory_utilization;
        options.max_model_len = context_length;
        options.max_seqs_per_step = max_num_seqs;
        if (max_num_batched_tokens != 0) options.max_tokens_per_step = max_num_batched_tokens;
        options.deterministic = config.deterministic;
        options.on_load_progress = on_load_progress;
        const cuda::CublasLt library = cuda::CublasLt::open(config.cublaslt).value();
        return std::make_unique<cuda::CudaBackend>(model.weights, model.tensors, model.config, library,
                                                   options);
    }
#endif
    if (device != "cpu") throw std::logic_error("a device that this build lacks was chosen");
    CpuBackendOptions options;
    options.compute_type = type;
    options.num_threads = num_threads(config);
    options.kv_cache_bytes = static_cast<std::size_t>(config.kv_cache_memory);
    options.max_model_len = context_length;
    options.max_seqs_per_step = max_num_seqs;
    if (max_num_batched_tokens != 0) options.max_tokens_per_step = max_num_batched_tokens;
    options.on_load_progress = on_load_progress;
    return std::make_unique<CpuBackend>(model.weights, model.tensors, model.config, options);
}

int fail(const Error& error) {
    std::cerr << "solard: " << error.message << '\n';
    return exit_code(error.code);
}

int serve(const AppConfig& config) {
    if (auto allowed = check_exposure(config); !allowed) return fail(allowed.error());
    const NvidiaPresence nvidia = find_nvidia();
    const auto device =
        choose_device(config.device, nvidia, config.device == "cpu" ? CudaSupport{} : ask_cuda(nvidia));
    if (!device) return fail(device.error());
    auto keys = config.api_key_file.empty() ? result<ApiKeys>(ApiKeys()) : ApiKeys::load(config.api_key_file);
    if (!keys) return fail(keys.error());
    auto model = open_model(config);
    if (!model) return fail(model.error());
    if (std::ranges::find(config.allowed_origins, "*") != config.allowed_origins.end())
        log(LogLevel::warning, "--allowed-origins *: every web page that a user opens may use this server");

    App app(config, describe_model(config, model->config), std::move(model->tokenizer), *std::move(keys));
    auto listener = Listener::bind(app.io, config);
    if (!listener) return fail(listener.error());
    Service service(app, *std::move(listener),
                    [&](const EngineInfo& info, const std::string& url) { print_banner(app, info, url); });

    LoadProgress progress(app.state.load_percent);
    const auto on_load_progress = [&](std::uint64_t done, std::uint64_t total) {
        if (service.stopping()) throw ErrorException({solard::errc::load_cancelled, "the load was given up"});
        progress(done, total);
    };
    const int code = service.run([&] {
        return make_backend(*device, config, *model, app.generation.model.context_length, on_load_progress);
    });
    if (service.engine_hangs()) std::_Exit(code);  // nothing that its thread uses may be destroyed
    return code;
}

int run(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
    if (!arguments.empty() && arguments.front() == "keygen")
        return run_keygen({arguments.begin() + 1, arguments.end()}, std::cout, std::cerr);
    const auto config = parse_app_config(arguments, environment);
    if (!config) return fail(config.error());
    set_log_level(config->log_level);
    if (config->help) return print_help(std::cout), 0;
    if (config->version) return std::cout << "solard " << version_text << '\n', 0;
    if (config->list_devices) {
        const NvidiaPresence nvidia = find_nvidia();
        std::cout << list_devices(nvidia, ask_cuda(nvidia), std::thread::hardware_concurrency());
        return 0;
    }
    if (config->check_config) return print_config(std::cout, *config), 0;
    return serve(*config);
}

}  // namespace
}  // namespace solard::server

int main(int argc, char** argv) {
    std::vector<std::string> environment;
    for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
    try {
        return solard::server::run({argv + 1, argv + argc}, environment);
    } catch (const std::exception& e) {
        std::cerr << "solard: " << e.what() << '\n';
        return 1;
    }
}
