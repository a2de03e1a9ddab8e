#include "inference/model/checkpoint.hpp"

#include <utility>

#include "inference/model/model_file.hpp"
#include "inference/model/model_folder.hpp"

namespace solard {
namespace {

// Collects what is wrong with a folder, so that one start tells everything.
class Faults {
  public:
    // Returns the value. If there is none, keeps the error and returns nothing.
    template <class T>
    std::optional<T> value_of(result<T> outcome) {
        if (outcome) return *std::move(outcome);
        add(outcome.error());
        return std::nullopt;
    }

    void add(const Error& error) {
        if (!any()) all_.code = error.code;
        all_.message += (any() ? "\n" : "") + error.message;
    }

    bool any() const { return !all_.message.empty(); }
    const Error& all() const { return all_; }

  private:
    Error all_{errc::bad_model, ""};
};

}  // namespace

result<Checkpoint> open_checkpoint(const std::filesystem::path& folder,
                                   const std::optional<std::string>& template_override) {
    if (auto reason = why_not_servable(folder)) return *std::move(reason);
    Faults faults;
    auto config = faults.value_of(load_model_config(folder));
    auto weights = faults.value_of(WeightSource::open(folder));
    std::optional<ModelTensors> tensors;
    std::optional<Tokenizer> tokenizer;
    if (config && weights) tensors = faults.value_of(resolve_tensors(*weights, *config));
    if (config) tokenizer = faults.value_of(Tokenizer::load(folder, config->vocab_size));
    const std::optional<TokenId> bos = tokenizer ? tokenizer->bos() : std::nullopt;
    if (config && bos && *bos != config->bos_token_id) {
        faults.add(bad_model(folder / "config.json",
                             "bos_token_id is " + std::to_string(config->bos_token_id) + ", expected " +
                                 std::to_string(*bos) + ", which tokenizer.model has"));
    }
    auto chat_template = faults.value_of(ChatTemplate::load(folder, template_override));
    if (faults.any() || !config || !weights || !tensors || !tokenizer || !chat_template) return faults.all();

    const bool tied = tensors->lm_head == tensors->embedding;
    const bool is_untied = config->tie_word_embeddings && !tied;
    config->tie_word_embeddings = tied;
    return Checkpoint{*std::move(config),    *std::move(weights),       *std::move(tensors),
                      *std::move(tokenizer), *std::move(chat_template), is_untied};
}

}  // namespace solard
