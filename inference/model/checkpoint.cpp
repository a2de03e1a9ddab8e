#include "inference/model/checkpoint.hpp"

#include <utility>

#include "inference/model/model_file.hpp"

namespace solard {

result<Checkpoint> open_checkpoint(const std::filesystem::path& folder,
                                   const std::optional<std::string>& template_override) {
    auto config = load_model_config(folder);
    if (!config) return config.error();
    auto weights = WeightSource::open(folder);
    if (!weights) return weights.error();
    auto tensors = resolve_tensors(*weights, *config);
    if (!tensors) return tensors.error();
    auto tokenizer = Tokenizer::load(folder, config->vocab_size);
    if (!tokenizer) return tokenizer.error();
    if (tokenizer->bos() && *tokenizer->bos() != config->bos_token_id) {
        return bad_model(folder / "config.json", "bos_token_id is " + std::to_string(config->bos_token_id) +
                                                     ", expected " + std::to_string(*tokenizer->bos()) +
                                                     ", which tokenizer.model has");
    }
    auto chat_template = ChatTemplate::load(folder, template_override);
    if (!chat_template) return chat_template.error();
    return Checkpoint{*std::move(config), *std::move(weights), *std::move(tensors), *std::move(tokenizer),
                      *chat_template};
}

}  // namespace solard
