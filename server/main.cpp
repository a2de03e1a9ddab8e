// The main program: it reads the configuration, opens the checkpoint, and runs the engine and the listener.
#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <thread>

#include "inference/model/checkpoint.hpp"
#include "inference/model/model_folder.hpp"
#include "server/app.hpp"
#include "server/auth/keygen.hpp"
#include "server/backends.hpp"
#include "server/config/parse_config.hpp"
#include "server/config/version.hpp"
#include "server/devices.hpp"
#include "server/generation/compile_process.hpp"
#include "server/listener.hpp"
#include "server/observe/background_writer.hpp"
#include "server/observe/load_progress.hpp"
#include "server/observe/log.hpp"
#include "server/service.hpp"

namespace solard::server {
namespace {

// The output of the process while it serves. No thread of the server waits for stdout or stderr, even if the
// process at the other end of the pipe does not read or has ended. The Console must outlive all threads that
// print.
class Console {
  public:
    Console() {
        // If the reader of a pipe has ended, a write to the pipe must return an error and not end the
        // process. Commands such as `solard --help | head` create no Console, so SIGPIPE still ends them as
        // usual.
        std::signal(SIGPIPE, SIG_IGN);
        set_log_writer(&errors);
    }
    ~Console() {
        set_log_writer(nullptr);
        flush();
    }
    Console(const Console&) = delete;
    Console& operator=(const Console&) = delete;

    // Waits until everything is printed, but only for a short time.
    void flush() {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
        output.flush_until(deadline);
        errors.flush_until(deadline);
    }

    BackgroundWriter output{STDOUT_FILENO, nullptr};
    BackgroundWriter errors{STDERR_FILENO, append_log_loss_notice};
};

std::string banner(const App& app, const EngineInfo& info, const std::string& url) {
    const auto& model = app.generation.model;
    std::ostringstream text;
    text << "solard " << version_text << " is ready\n"
         << "  model    " << model.names.front() << ", "
         << static_cast<double>(model.config.num_parameters()) / 1e6 << " M parameters, context "
         << model.context_length << " tokens\n"
         << "  device   " << info.backend << ", " << info.max_num_batched_tokens << " tokens per step\n"
         << "  KV cache " << app.generation.engine.capacity_tokens() << " tokens\n"
         << "  page     " << url << "/\n"
         << "  API      " << url << "/v1\n";
    return text.str();
}

// Prints the message, which may have several lines.
int fail(const Error& error) {
    std::istringstream lines(error.message);
    for (std::string line; std::getline(lines, line);) std::cerr << "solard: " << line << '\n';
    return exit_code(error.code);
}

// Runs the service and its engine, and returns the exit code. The calling thread itself never writes to
// stdout or stderr: the threads of the Console write the output.
int run_service(const AppConfig& config, std::string_view device, const Checkpoint& checkpoint, App& app,
                Listener listener) {
    Console console;
    Service service(app, std::move(listener), [&](const EngineInfo& info, const std::string& url) {
        console.output.append(banner(app, info, url));
    });
    LoadProgress progress(app.state.load_percent, console.errors);
    const auto on_load_progress = [&](std::uint64_t done, std::uint64_t total) {
        if (service.stopping())
            throw ErrorException({solard::errc::load_cancelled, "loading was cancelled by a signal"});
        progress.update(done, total);
    };
    int code = exit_code(errc::runtime_failure);
    try {
        code = service.run([&] {
            return make_backend(device, config, checkpoint, app.generation.model.context_length,
                                on_load_progress);
        });
    } catch (const std::exception& e) {
        log(LogLevel::error, std::string("the server failed: ") + e.what());
    }
    if (service.engine_hangs()) {  // the engine thread still uses the objects above
        console.flush();
        std::_Exit(code);
    }
    return code;
}

// Runs the server and returns the exit code. Mistakes in the configuration, the device, the keys, the model
// and the port are found before any weights are read.
int serve(AppConfig config) {
    if (auto allowed = check_exposure(config); !allowed) return fail(allowed.error());
    const NvidiaPresence nvidia = find_nvidia();
    const auto device =
        choose_device(config.device, nvidia, config.device == "cpu" ? CudaSupport{} : probe_cuda(nvidia));
    if (!device) return fail(device.error());
    auto keys = config.api_key_file.empty() ? result<ApiKeys>(ApiKeys()) : ApiKeys::load(config.api_key_file);
    if (!keys) return fail(keys.error());
    if (!config.api_key.empty()) {
        if (auto added = keys->add("api-key", config.api_key); !added) return fail(added.error());
        config.api_key.clear();  // only the hash is kept
    }
    const auto folder = find_model_folder(config.model, hub_cache_folder());
    if (!folder) return fail(to_server_error(folder.error()));
    config.model = folder->string();
    auto checkpoint = open_checkpoint(
        config.model, config.chat_template.empty() ? std::nullopt : std::optional(config.chat_template));
    if (!checkpoint) return fail(to_server_error(checkpoint.error()));
    if (checkpoint->lm_head_is_untied)
        log(LogLevel::warning,
            config.model +
                ": config.json ties lm_head to the embedding, but the stored lm_head.weight "
                "differs; the stored one is used");
    if (std::ranges::find(config.allowed_origins, "*") != config.allowed_origins.end())
        log(LogLevel::warning, "--allowed-origins *: every web page that a user opens may use this server");

    auto model = describe_model(config, checkpoint->config, checkpoint->chat_template);
    if (!model) return fail(model.error());
    for (const std::string& setting : checkpoint->config.generation.ignored)
        log(LogLevel::warning, "generation_config.json has a setting without effect here: " + setting);

    App app(config, *std::move(model), std::move(checkpoint->tokenizer), *std::move(keys));
    auto listener = Listener::bind(app.io, config);
    if (!listener) return fail(listener.error());
    // A block of this size or larger, such as a request's body, goes back to the system as soon as it is
    // freed. By default, glibc raises the limit up to 32 MiB, and malloc_trim() can then block the event loop
    // for more than 0.1 s.
    mallopt(M_MMAP_THRESHOLD, 64 << 10);
    return run_service(config, *device, *checkpoint, app, *std::move(listener));
}

int run(const std::vector<std::string>& arguments, const std::vector<std::string>& environment) {
    if (!arguments.empty() && arguments.front() == "keygen")
        return run_keygen({arguments.begin() + 1, arguments.end()}, std::cout, std::cerr);
    if (arguments.size() == 2 && arguments.front() == compile_command)
        return run_compile_child(arguments.back());
    auto config = parse_app_config(arguments, environment);
    if (!config) return fail(config.error());
    set_log_level(config->log_level);
    if (config->help) return print_help(std::cout), 0;
    if (config->version) return std::cout << "solard " << version_text << '\n', 0;
    if (config->list_devices) {
        const NvidiaPresence nvidia = find_nvidia();
        std::cout << list_devices(nvidia, probe_cuda(nvidia), std::thread::hardware_concurrency());
        return 0;
    }
    if (config->check_config) return print_config(std::cout, *config), 0;
    return serve(*std::move(config));
}

// If the caller has closed stdin, stdout or stderr, opens /dev/null in its place. Otherwise the next file or
// socket would get the number of the closed descriptor, and the output of the process would be written there.
void open_standard_descriptors() {
    int descriptor = STDIN_FILENO;
    while (descriptor >= 0 && descriptor <= STDERR_FILENO) descriptor = open("/dev/null", O_RDWR);
    if (descriptor >= 0) close(descriptor);
}

}  // namespace
}  // namespace solard::server

int main(int argc, char** argv) {
    solard::server::open_standard_descriptors();
    std::vector<std::string> environment;
    for (char** entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
    try {
        return solard::server::run({argv + 1, argv + argc}, environment);
    } catch (const std::exception& e) {
        std::cerr << "solard: " << e.what() << '\n';
        return 1;
    }
}
