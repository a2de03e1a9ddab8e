// solard-bench measures how fast a model runs on this machine and how close that is to the machine's limits.
//
//   solard-bench kernels|decode|prefill|offline|all [options]; see --help
#include <algorithm>
#include <boost/program_options.hpp>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <thread>

#include "inference/cpu/cpu_backend.hpp"
#include "inference/model/tokenizer.hpp"
#include "tests/bench/solard_bench/model_bench.hpp"
#include "tests/bench/solard_bench/report.hpp"
#include "tests/support/hashed_model.hpp"
#ifdef SOLARD_HAS_CUDA
#include "cuda/cuda_backend.hpp"
#include "tests/bench/solard_bench/kernel_bench.hpp"
#include "tests/bench/solard_bench/random_weights.hpp"
#include "tests/cuda/unit/device_library.hpp"
#endif

namespace solard::bench {
namespace {

namespace po = boost::program_options;

struct Options {
    std::string command;
    std::string model;
    std::string shape;
    std::string device;
    std::string dtype;
    std::string cublaslt;
    std::string json;
    std::vector<std::int32_t> batches;
    std::vector<std::int32_t> lengths;
    std::vector<std::int32_t> rows;
    std::int32_t context = 512;
    std::int32_t input = 128;
    std::int32_t output = 128;
    std::int32_t requests = 256;
    std::int32_t rounds = 5;
    std::int32_t max_model_len = 4096;
    std::int32_t max_tokens = 512;
    std::int32_t threads = 0;
    bool deterministic = false;

    bool wants(const std::string& name) const { return command == name || command == "all"; }
    DType type() const { return dtype == "fp16" ? DType::fp16 : DType::bf16; }
};

std::vector<std::int32_t> numbers_of(const std::string& text) {
    std::vector<std::int32_t> numbers;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, ',');) numbers.push_back(std::stoi(part));
    if (numbers.empty()) throw std::invalid_argument("expected numbers such as 1,8,64, got '" + text + "'");
    return numbers;
}

Options parse(int argc, char** argv) {
    Options options;
    std::string batches;
    std::string lengths;
    std::string rows;
    po::options_description table("solard-bench kernels|decode|prefill|offline|all [options]");
    const auto text = [](std::string& value, const char* fallback) {
        return po::value(&value)->default_value(fallback);
    };
    const auto number = [](std::int32_t& value) { return po::value(&value)->default_value(value); };
    table.add_options()("help", "print this and exit")("command", text(options.command, ""),
                                                       "what is measured")("model", text(options.model, ""),
                                                                           "Hugging Face folder")(
        "shape", text(options.shape, ""), "random weights instead: solar-10.7b or small, with ,layers=N")(
        "device", text(options.device, "cuda"), "cuda or cpu")(
        "dtype", text(options.dtype, "bf16"), "bf16 or fp16")("cublaslt", text(options.cublaslt, ""),
                                                              "file or folder of libcublasLt.so.13")(
        "json", text(options.json, ""), "append a JSON line per row to this file")(
        "batch", text(batches, "1,8,32,64"), "decode: sequences of a step")(
        "length", text(lengths, "128,512,2048"), "prefill: tokens of the prompt")(
        "rows", text(rows, "1,8,64,512"), "kernels: tokens of a step")(
        "context", number(options.context), "decode, kernels: tokens before the new one")(
        "input", number(options.input), "offline: tokens of each prompt")("output", number(options.output),
                                                                          "offline: tokens of each answer")(
        "requests", number(options.requests), "offline: how many")("rounds", number(options.rounds),
                                                                   "the median of these is printed")(
        "max-model-len", number(options.max_model_len), "context")(
        "max-num-batched-tokens", number(options.max_tokens), "tokens of one step")(
        "threads", number(options.threads), "CPU threads; 0 = one per core")(
        "deterministic", po::bool_switch(&options.deterministic), "as the server's option");
    po::positional_options_description first;
    first.add("command", 1);
    po::variables_map values;
    po::store(po::command_line_parser(argc, argv).options(table).positional(first).run(), values);
    po::notify(values);
    if (values.contains("help")) {
        std::cout << table;
        std::exit(0);
    }
    constexpr const char* commands[] = {"kernels", "decode", "prefill", "offline", "all"};
    if (std::ranges::find(commands, options.command) == std::end(commands))
        throw std::invalid_argument("expected kernels, decode, prefill, offline or all, got '" +
                                    options.command + "'");
    if (options.model.empty() == options.shape.empty())
        throw std::invalid_argument("expected --model or --shape");
    options.batches = numbers_of(batches);
    options.lengths = numbers_of(lengths);
    options.rows = numbers_of(rows);
    return options;
}

ModelConfig solar_shape() {
    ModelConfig config;
    config.vocab_size = 32000;
    config.hidden_size = 4096;
    config.intermediate_size = 14336;
    config.num_layers = 48;
    config.num_heads = 32;
    config.num_kv_heads = 8;
    config.head_dim = 128;
    config.max_position_embeddings = 4096;
    config.rms_norm_eps = 1e-5F;
    config.eos_token_ids = {2};
    return config;
}

// Parses "solar-10.7b" or "small", optionally followed by ",layers=N".
ModelConfig shape_named(const std::string& text) {
    ModelConfig config = solar_shape();
    const std::string name = text.substr(0, text.find(','));
    if (name == "small") {
        config.vocab_size = 512;
        config.hidden_size = 128;
        config.intermediate_size = 256;
        config.num_layers = 2;
        config.num_heads = 4;
        config.num_kv_heads = 2;
        config.head_dim = 64;
    } else if (name != "solar-10.7b") {
        throw std::invalid_argument("expected the shape solar-10.7b or small, got '" + name + "'");
    }
    const std::string prefix = ",layers=";
    const std::string rest = text.substr(name.size());
    if (rest.starts_with(prefix)) {
        config.num_layers = std::stoi(rest.substr(prefix.size()));
    } else if (!rest.empty()) {
        throw std::invalid_argument("expected ,layers=N after the shape, got '" + rest + "'");
    }
    if (config.num_layers < 1) throw std::invalid_argument("expected at least one layer");
    return config;
}

void run_model(const Options& options, Backend& backend, const ModelConfig& config, const Limit& limit,
               Report& report) {
    std::printf("\n%s\nKV cache %d tokens\n", backend.description().c_str(),
                backend.capacity().num_blocks * kv_block_size);
    ModelBench bench{backend, config, limit, report, options.rounds};
    if (options.wants("decode")) bench.decode(options.batches, options.context);
    if (options.wants("prefill")) bench.prefill(options.lengths);
    if (!options.wants("offline")) return;
    // The benchmark needs the tokenizer only to convert token ids to bytes. So without --model, any tokenizer
    // will do; an id that is not in this tokenizer has no bytes.
    const auto folder = options.model.empty() ? std::filesystem::path(SOLARD_SOURCE_DIR) / "config/demo-model"
                                              : std::filesystem::path(options.model);
    const Tokenizer tokenizer = Tokenizer::load(folder, std::max(config.vocab_size, 2048)).value();
    bench.offline(tokenizer, options.input, options.output, options.requests);
}

std::int32_t max_seqs(const Options& options) {
    return *std::ranges::max_element(options.batches);
}

void run_on_cpu(const Options& options, Report& report) {
    if (options.command == "kernels")
        throw std::invalid_argument("kernels run on a GPU only: expected --device cuda");
    const ModelFolder
        folder;  // with --shape, the weights are written here, because the CPU backend reads files
    const LoadedModel model(options.shape.empty()
                                ? std::filesystem::path(options.model)
                                : write_hashed_model(folder, shape_named(options.shape), options.type()));
    CpuBackendOptions backend_options;
    backend_options.compute_type = options.type();
    backend_options.num_threads = options.threads > 0
                                      ? options.threads
                                      : static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
    backend_options.max_model_len = std::min(options.max_model_len, model.config.max_position_embeddings);
    backend_options.max_tokens_per_step = options.max_tokens;
    backend_options.max_seqs_per_step = max_seqs(options);
    CpuBackend backend(model.source, model.tensors, model.config, backend_options);
    run_model(options, backend, model.config, {}, report);
}

#ifdef SOLARD_HAS_CUDA
void run_on_gpu(const Options& options, Report& report) {
    const cuda::CublasLt library = cuda::device_library(options.cublaslt);
    const Limit limit = measure_limits(library, options.type(), report);
    const ModelConfig config =
        options.shape.empty() ? load_model_config(options.model).value() : shape_named(options.shape);
    if (options.wants("kernels"))
        bench_kernels(library, config, options.type(), limit, options.rows, options.context, report);
    if (options.command == "kernels") return;
    cuda::CudaBackendOptions backend_options;
    backend_options.compute_type = options.type();
    backend_options.max_model_len = std::min(options.max_model_len, config.max_position_embeddings);
    backend_options.max_tokens_per_step = options.max_tokens;
    backend_options.max_seqs_per_step = max_seqs(options);
    backend_options.deterministic = options.deterministic;
    if (!options.shape.empty()) {
        cuda::CudaBackend backend(make_random_weights(config, options.type()), config, library,
                                  backend_options);
        return run_model(options, backend, config, limit, report);
    }
    const LoadedModel model(options.model);
    cuda::CudaBackend backend(model.source, model.tensors, model.config, library, backend_options);
    run_model(options, backend, config, limit, report);
}
#endif

int run(int argc, char** argv) {
    const Options options = parse(argc, argv);
    const bool on_gpu = options.device == "cuda";
    Report report(gather_facts(SOLARD_SOURCE_DIR, on_gpu), options.json, on_gpu);
    if (options.device == "cpu") {
        run_on_cpu(options, report);
        return 0;
    }
#ifdef SOLARD_HAS_CUDA
    if (options.device == "cuda") {
        run_on_gpu(options, report);
        return 0;
    }
#endif
    throw std::invalid_argument("--device " + options.device + " is not in this build");
}

}  // namespace
}  // namespace solard::bench

int main(int argc, char** argv) {
    try {
        return solard::bench::run(argc, argv);
    } catch (const std::exception& e) {
        std::cerr << "solard-bench: " << e.what() << '\n';
        return 1;
    }
}
