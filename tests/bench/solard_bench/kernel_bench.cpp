#include "tests/bench/solard_bench/kernel_bench.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>

#include "cuda/attention_plan.hpp"
#include "cuda/device_sampler.hpp"
#include "cuda/device_scorer.hpp"
#include "cuda/gemm.hpp"
#include "cuda/kernels.hpp"
#include "cuda/staging.hpp"
#include "inference/scheduling/sequence.hpp"
#include "inference/sizes.hpp"
#include "tests/bench/bench.hpp"
#include "tests/cuda/unit/device_library.hpp"

namespace solard::bench {
namespace {

using namespace cuda;

using Halves = DeviceBuffer<std::uint16_t>;

// The emulated device does not measure time, so one run is enough on that device.
int num_runs() {
    return device_is_emulated() ? 1 : 15;
}

// Returns a buffer whose elements are small and equal, no matter whether they are bf16, fp16 or fp32.
template <class T>
DeviceBuffer<T> filled(std::size_t count) {
    DeviceBuffer<T> buffer(count);
    check(cudaMemset(buffer.data(), 0x3c, buffer.size_bytes()));
    check(cudaDeviceSynchronize());  // a non-blocking stream would not wait for the memset
    return buffer;
}

template <class T>
DeviceBuffer<T> uploaded(std::span<const T> values) {
    DeviceBuffer<T> buffer(values.size());
    check(cudaMemcpy(buffer.data(), values.data(), buffer.size_bytes(), cudaMemcpyHostToDevice));
    check(cudaDeviceSynchronize());
    return buffer;
}

std::size_t l2_bytes() {
    cudaDeviceProp device{};
    check(cudaGetDeviceProperties(&device, 0));
    return static_cast<std::size_t>(device.l2CacheSize);
}

// Measures with CUDA events how long work takes on the device. Before each run, the L2 cache is overwritten.
class Timer {
  public:
    Timer() : flush_(device_is_emulated() ? 256 : 2 * l2_bytes()) {}

    double seconds(const std::function<void(const Stream&)>& work) {
        std::vector<double> times;
        work(stream_);
        for (int run = 0; run < num_runs(); ++run) {
            check(cudaMemsetAsync(flush_.data(), run, flush_.size(), stream_.get()));
            begin_.record(stream_);
            work(stream_);
            end_.record(stream_);
            end_.synchronize();
            times.push_back(end_.milliseconds_since(begin_) / 1e3);
        }
        return median(times);
    }

  private:
    DeviceBuffer<std::byte> flush_;
    Stream stream_;
    Event begin_{Event::Timing::on};
    Event end_{Event::Timing::on};
};

class KernelBench {
  public:
    KernelBench(const CublasLt& library, const ModelConfig& config, DType type, const Limit& limit,
                Report& report)
        : library_(library), config_(config), type_(type), limit_(limit), report_(report) {}

    void products(const std::vector<std::int32_t>& rows);
    void elementwise(std::int32_t rows);
    void block_copies(std::int32_t count);
    void attention(std::int32_t rows, std::int32_t context, bool decode);
    void sampling(std::int32_t rows);

  private:
    // Measures `work` and reports a row. Its share is the shortest possible time divided by the measured
    // time. The shortest possible time is the time for the memory accesses or the time for the arithmetic,
    // whichever is longer.
    void add(const std::string& name, double bytes, double flops,
             const std::function<void(const Stream&)>& work) {
        const double seconds = timer_.seconds(work);
        Row row{
            name,
            {{"us", seconds * 1e6}, {"GB/s", bytes / seconds / 1e9}, {"TFLOP/s", flops / seconds / 1e12}}};
        const double least = std::max(bytes / limit_.bytes_per_second, flops / limit_.flops);
        row.values.emplace_back("share", least / seconds);
        report_.add(row);
    }

    const CublasLt& library_;
    const ModelConfig& config_;
    DType type_;
    Limit limit_;
    Report& report_;
    Timer timer_;
};

void KernelBench::products(const std::vector<std::int32_t>& rows) {
    const std::int32_t hidden = config_.hidden_size;
    const std::int32_t heads = config_.num_heads * config_.head_dim;
    const std::int32_t kv = config_.num_kv_heads * config_.head_dim;
    struct Product {
        std::string name;
        GemmShape shape;
    };
    const auto half = [&](const std::string& name, std::int32_t n, std::int32_t k) {
        return Product{name, {.n = n, .k = k, .out = type_, .out_stride = n}};
    };
    const std::vector<Product> products = {half("qkv", heads + 2 * kv, hidden),
                                           half("o", hidden, heads),
                                           half("gate-up", 2 * config_.intermediate_size, hidden),
                                           half("down", hidden, config_.intermediate_size),
                                           {"head",
                                            {.n = config_.vocab_size,
                                             .k = hidden,
                                             .out = DType::fp32,
                                             .out_stride = round_up(config_.vocab_size, 4)}}};
    const std::int32_t most = *std::ranges::max_element(rows);
    Stream stream;
    for (const Product& product : products) {
        const std::size_t n = count_of(product.shape.n);
        const std::size_t k = count_of(product.shape.k);
        // As in a step, gemm.tune() multiplies by the weights of several layers, one layer after another.
        const std::size_t copies = std::clamp<std::size_t>(4 * l2_bytes() / (2 * n * k), 1, 16);
        const Halves w = filled<std::uint16_t>(copies * n * k);
        const Halves x = filled<std::uint16_t>(count_of(most) * k);
        DeviceBuffer<float> d(count_of(most) * count_of(product.shape.out_stride));
        std::vector<const void*> weights;
        for (std::size_t i = 0; i < copies; ++i) weights.push_back(w.data() + i * n * k);
        Gemm gemm(library_, type_, most, false);
        const Gemm::Id id = gemm.add(product.shape, weights);
        gemm.tune(stream);
        for (const std::int32_t m : rows) {
            const double bytes = 2.0 * static_cast<double>(n * k) + 2.0 * m * static_cast<double>(k) +
                                 static_cast<double>(size_of(product.shape.out)) * m * static_cast<double>(n);
            add(product.name + ", " + std::to_string(m) + " rows", bytes,
                2.0 * m * static_cast<double>(n * k),
                [&](const Stream& on) { gemm.run(id, x.data(), w.data(), d.data(), m, on); });
        }
    }
}

void KernelBench::elementwise(std::int32_t rows) {
    const std::size_t hidden = count_of(config_.hidden_size);
    const std::size_t tokens = count_of(rows);
    const std::size_t qkv_size = count_of((config_.num_heads + 2 * config_.num_kv_heads) * config_.head_dim);
    const std::string suffix = ", " + std::to_string(rows) + " rows";
    const KvShape kv{.num_kv_heads = config_.num_kv_heads, .head_dim = config_.head_dim};
    auto residual = filled<float>(tokens * hidden);
    const Halves projected = filled<std::uint16_t>(tokens * hidden);
    const Halves weight = filled<std::uint16_t>(hidden);
    Halves normed(tokens * hidden);
    const Halves table = filled<std::uint16_t>(std::max(count_of(config_.vocab_size), tokens) * hidden);
    std::vector<std::int32_t> numbers(tokens);
    std::iota(numbers.begin(), numbers.end(), 0);
    const auto ids = uploaded<std::int32_t>(numbers);
    add("embedding" + suffix, static_cast<double>(tokens * hidden) * (2 + 4), 0, [&](const Stream& on) {
        embed(type_,
              {.table = table.data(),
               .token_ids = ids.data(),
               .residual = residual.data(),
               .num_tokens = rows,
               .hidden = config_.hidden_size},
              on.get());
    });
    // `bytes`: bytes read and written per element. The variant that gathers rows does not write the residual.
    const auto norm = [&](const std::string& name, const std::int32_t* named_rows, double bytes) {
        const AddRmsNormArgs args{.residual = residual.data(),
                                  .projected = projected.data(),
                                  .rows = named_rows,
                                  .weight = weight.data(),
                                  .normed = normed.data(),
                                  .num_rows = rows,
                                  .hidden = config_.hidden_size,
                                  .eps = config_.rms_norm_eps};
        add(name + suffix, static_cast<double>(tokens * hidden) * bytes, 0,
            [&](const Stream& on) { add_rms_norm(type_, args, on.get()); });
    };
    norm("add + norm", nullptr, 4 + 4 + 2 + 2);
    norm("norm of rows", ids.data(), 4 + 2 + 2);

    Halves qkv = filled<std::uint16_t>(tokens * qkv_size);
    const auto rope = filled<float2>(tokens * count_of(config_.head_dim / 2));
    Halves cache(count_of(blocks_for(rows)) * static_cast<std::size_t>(kv.block_elements()));
    const double rope_bytes = 2.0 * 2 * static_cast<double>(tokens * qkv_size);
    add("RoPE + append" + suffix, rope_bytes, 0, [&](const Stream& on) {
        rope_append(type_,
                    {.qkv = qkv.data(),
                     .rope = rope.data(),
                     .positions = ids.data(),
                     .slot_mapping = ids.data(),
                     .layer_cache = cache.data(),
                     .kv = kv,
                     .num_heads = config_.num_heads,
                     .num_tokens = rows},
                    on.get());
    });

    const std::size_t width = count_of(config_.intermediate_size);
    const Halves gate_up = filled<std::uint16_t>(tokens * 2 * width);
    Halves activated(tokens * width);
    add("SwiGLU" + suffix, 2.0 * 3 * static_cast<double>(tokens * width), 0, [&](const Stream& on) {
        swiglu(type_,
               {.gate_up = gate_up.data(),
                .activated = activated.data(),
                .num_tokens = rows,
                .intermediate = config_.intermediate_size},
               on.get());
    });
}

// Measures the copies of one layer. In a step, every layer copies the same amount.
void KernelBench::block_copies(std::int32_t count) {
    const KvShape kv{.num_kv_heads = config_.num_kv_heads, .head_dim = config_.head_dim};
    const std::int64_t bytes = kv.block_elements() * 2;
    auto cache = filled<std::uint16_t>(count_of(2 * count) * static_cast<std::size_t>(kv.block_elements()));
    std::vector<BlockCopy> copies(count_of(count));
    for (std::int32_t i = 0; i < count; ++i) copies[count_of(i)] = {.source = i, .destination = count + i};
    const auto device_copies = uploaded<BlockCopy>(copies);
    add("block copies, " + std::to_string(count), 2.0 * static_cast<double>(bytes) * count, 0,
        [&](const Stream& on) {
            copy_blocks({.cache = cache.data(),
                         .copies = device_copies.data(),
                         .num_copies = count,
                         .num_layers = 1,
                         .num_blocks = 2 * count,
                         .block_bytes = bytes},
                        on.get());
        });
}

// If `decode` is true, measures `rows` sequences of `context` tokens; the last token of each sequence is new.
// Otherwise measures one prompt of `rows` tokens.
void KernelBench::attention(std::int32_t rows, std::int32_t context, bool decode) {
    const std::int32_t length = decode ? context : rows;
    const std::int32_t num_seqs = decode ? rows : 1;
    const std::int32_t fresh = decode ? 1 : rows;
    const std::int32_t blocks = blocks_for(length);
    ForwardBatch batch;
    batch.block_table_stride = blocks;
    batch.cu_seqlens_q = {0};
    for (std::int32_t i = 0; i < num_seqs; ++i) {
        batch.token_ids.resize(batch.token_ids.size() + count_of(fresh));
        batch.cu_seqlens_q.push_back(batch.num_tokens());
        batch.context_lens.push_back(length);
        for (std::int32_t block = 0; block < blocks; ++block)
            batch.block_tables.push_back(i * blocks + block);
    }
    AttentionPlan plan(config_.num_heads / config_.num_kv_heads, batch.num_tokens(), num_seqs, length, false);
    plan.make(batch);
    const KvShape kv{.num_kv_heads = config_.num_kv_heads, .head_dim = config_.head_dim};
    const std::size_t tokens = count_of(batch.num_tokens());
    const Halves cache =
        filled<std::uint16_t>(count_of(num_seqs * blocks) * static_cast<std::size_t>(kv.block_elements()));
    const Halves qkv = filled<std::uint16_t>(
        tokens * count_of((config_.num_heads + 2 * config_.num_kv_heads) * config_.head_dim));
    Halves attended(tokens * count_of(config_.num_heads * config_.head_dim));
    const auto tables = uploaded<std::int32_t>(batch.block_tables);
    const auto prefill_tiles = uploaded(plan.prefill_tiles());
    const auto decode_tiles = uploaded(plan.decode_tiles());
    const auto splits = uploaded(plan.splits());
    const auto first_split = uploaded(plan.first_split());
    const std::size_t parts = plan.splits().size() * count_of(config_.num_kv_heads * decode_tile_rows);
    DeviceBuffer<float> outputs(parts * count_of(config_.head_dim));
    DeviceBuffer<float2> states(parts);
    AttentionArgs prefill{.qkv = qkv.data(),
                          .layer_cache = cache.data(),
                          .block_tables = tables.data(),
                          .attended = attended.data(),
                          .tiles = prefill_tiles.data(),
                          .num_tiles = static_cast<std::int32_t>(prefill_tiles.size()),
                          .block_table_stride = blocks,
                          .num_heads = config_.num_heads,
                          .kv = kv};
    DecodeAttentionArgs decoding{.attention = prefill,
                                 .splits = splits.data(),
                                 .first_split = first_split.data(),
                                 .partial_outputs = outputs.data(),
                                 .partial_states = states.data(),
                                 .num_splits = static_cast<std::int32_t>(splits.size())};
    decoding.attention.tiles = decode_tiles.data();
    decoding.attention.num_tiles = static_cast<std::int32_t>(decode_tiles.size());
    const double kv_bytes = 2.0 * 2 * config_.num_kv_heads * config_.head_dim * length * num_seqs;
    // A token of a prompt attends to half of the prompt on average.
    const double seen = decode ? length : (length + 1) / 2.0;
    const double flops = 4.0 * seen * static_cast<double>(tokens) * config_.num_heads * config_.head_dim;
    const std::string name =
        decode ? "decode attention, " + std::to_string(rows) + " x " + std::to_string(context)
               : "prefill attention, " + std::to_string(rows);
    add(name, kv_bytes, flops, [&](const Stream& on) {
        prefill_attention(type_, prefill, on.get());
        decode_attention(type_, decoding, on.get());
    });
}

void KernelBench::sampling(std::int32_t rows) {
    const std::size_t vocab = count_of(config_.vocab_size);
    Stream stream;
    DeviceSampler sampler(config_.vocab_size, rows, 128, stream);
    DeviceScorer scorer(config_.vocab_size, rows);
    Staging staging(sampler.staging_bytes() + scorer.staging_bytes());
    std::vector<float> logits(count_of(rows) * vocab);
    for (std::size_t i = 0; i < logits.size(); ++i) {
        // The range of the logits is like that of a model, and their order is random.
        logits[i] = static_cast<float>((i * 2654435761U >> 8) % 4001) / 200 - 10;
    }
    const auto device_logits = uploaded<float>(logits);
    const auto run = [&](const std::string& name, const SamplingParams& params) {
        std::vector<SamplingRow> sampled(count_of(rows), {.params = params});
        staging.clear();
        sampler.prepare(sampled, staging);
        staging.upload(stream);
        stream.synchronize();
        add(name + ", " + std::to_string(rows) + " rows", 4.0 * static_cast<double>(logits.size()), 0,
            [&](const Stream& on) { sampler.run(device_logits.data(), config_.vocab_size, on); });
    };
    run("sample, greedy", {.temperature = 0});
    run("sample, all", {});
    run("sample, top-p 0.95", {.temperature = 0.7F, .top_p = 0.95F});
    run("sample, top-k 50", {.top_k = 50});
    run("sample, 20 logprobs", {.num_logprobs = 20});

    std::vector<ScoredToken> scored;
    for (std::int32_t row = 0; row < rows; ++row) {
        scored.push_back({.row = row, .token = row, .num_alternatives = 20, .first_score = 21 * row});
    }
    staging.clear();
    scorer.prepare(scored, staging);
    staging.upload(stream);
    stream.synchronize();
    add("score, 20 alternatives, " + std::to_string(rows) + " rows", 4.0 * static_cast<double>(logits.size()),
        0, [&](const Stream& on) { scorer.run(0, rows, device_logits.data(), config_.vocab_size, on); });
}

}  // namespace

Limit measure_limits(const CublasLt& library, DType type, Report& report) {
    const std::size_t copied = std::size_t{1} << (device_is_emulated() ? 12 : 28);
    const std::int32_t size = device_is_emulated() ? 64 : 4096;
    report.begin("limits of this run");
    Timer timer;
    Limit limit;
    {
        DeviceBuffer<std::byte> from(copied);
        DeviceBuffer<std::byte> to(copied);
        const double seconds = timer.seconds([&](const Stream& on) {
            check(cudaMemcpyAsync(to.data(), from.data(), copied, cudaMemcpyDeviceToDevice, on.get()));
        });
        limit.bytes_per_second = 2.0 * static_cast<double>(copied) / seconds;
        report.add({"memory, read and written", {{"GB/s", limit.bytes_per_second / 1e9}}});
    }
    const std::size_t elements = count_of(size) * count_of(size);
    const Halves x = filled<std::uint16_t>(elements);
    const Halves w = filled<std::uint16_t>(elements);
    Halves d(elements);
    Stream stream;
    Gemm gemm(library, type, size, false);
    const Gemm::Id id = gemm.add({.n = size, .k = size, .out = type, .out_stride = size}, {w.data()});
    gemm.tune(stream);
    const double seconds =
        timer.seconds([&](const Stream& on) { gemm.run(id, x.data(), w.data(), d.data(), size, on); });
    limit.flops = 2.0 * static_cast<double>(elements) * size / seconds;
    report.add({"product of square matrices of " + std::to_string(size), {{"TFLOP/s", limit.flops / 1e12}}});
    return limit;
}

void bench_kernels(const CublasLt& library, const ModelConfig& config, DType type, const Limit& limit,
                   const std::vector<std::int32_t>& rows, std::int32_t context, Report& report) {
    report.begin("kernels, cold L2 cache");
    KernelBench bench(library, config, type, limit, report);
    bench.products(rows);
    for (const std::int32_t count : rows) {
        bench.elementwise(count);
        bench.block_copies(count);
        bench.sampling(std::min(count, 64));
        bench.attention(count, context, true);
        if (count > 4) bench.attention(count, context, false);
    }
}

}  // namespace solard::bench
