// solard with a FakeBackend, for load tests and benchmarks: it takes solard's flags, but its model costs no
// time. --max-model-len, --max-num-seqs and --max-num-batched-tokens set the capacity of the FakeBackend; its
// vocabulary is the demonstration model's. SOLARD_FAKE_STEP_MS is the minimum duration of a step in
// milliseconds.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "inference/model/config.hpp"
#include "server/app.hpp"
#include "server/config/parse_config.hpp"
#include "server/listener.hpp"
#include "server/observe/log.hpp"
#include "server/service.hpp"
#include "tests/support/fake_backend.hpp"

using namespace solard;
using namespace solard::server;

namespace {

class PacedBackend final : public Backend {
  public:
    PacedBackend(FakeOptions options, std::chrono::milliseconds step)
        : fake_(std::move(options)), step_(step) {}
    BackendCapacity capacity() const override { return fake_.capacity(); }
    std::string description() const override { return "paced"; }
    void submit(const ForwardBatch& batch) override { fake_.submit(batch); }
    void sample(std::span<const std::uint32_t> masks) override { fake_.sample(masks); }
    void collect(StepResults& results) override {
        std::this_thread::sleep_for(step_);
        fake_.collect(results);
    }

  private:
    FakeBackend fake_;
    std::chrono::milliseconds step_;
};

}  // namespace

int main(int argc, char** argv) {
    constexpr const char* model_folder = SOLARD_SOURCE_DIR "/config/demo-model";
    const auto config = parse_app_config({argv + 1, argv + argc}, {}).value();
    set_log_level(config.log_level);
    ModelConfig model = load_model_config(model_folder).value();
    model.max_position_embeddings = static_cast<std::int32_t>(config.max_model_len);
    auto tokenizer = Tokenizer::load(model_folder, model.vocab_size).value();
    FakeOptions options;
    options.first_token = 300;  // control and byte tokens have lower ids, so every token has text
    options.vocab_size = model.vocab_size;
    options.capacity = {.num_blocks = 1 << 16,
                        .max_tokens_per_step = static_cast<std::int32_t>(config.max_num_batched_tokens),
                        .max_seqs_per_step = static_cast<std::int32_t>(config.max_num_seqs),
                        .max_model_len = model.max_position_embeddings};
    App app(config, describe_model(config, model, ChatTemplate::solar()).value(), std::move(tokenizer));
    auto listener = Listener::bind(app.io, config).value();
    Service service(app, std::move(listener), [](const EngineInfo&, const std::string& url) {
        std::printf("%s\n", url.c_str());
        std::fflush(stdout);
    });
    const char* pace = std::getenv("SOLARD_FAKE_STEP_MS");
    const std::chrono::milliseconds step(pace != nullptr ? std::stoi(pace) : 0);
    return service.run([&] { return std::make_unique<PacedBackend>(options, step); });
}
