// A model folder in the format of Hugging Face, opened and checked as a whole.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "inference/error.hpp"
#include "inference/model/chat_template.hpp"
#include "inference/model/config.hpp"
#include "inference/model/safetensors.hpp"
#include "inference/model/tensors.hpp"
#include "inference/model/tokenizer.hpp"

namespace solard {

// The contents of a model folder. Every file was checked. No weight was read yet, unless the embedding had to
// be compared with an lm_head that is stored although the configuration ties the two.
struct Checkpoint {
    // Here tie_word_embeddings is true only if `tensors` have no lm_head of their own.
    ModelConfig config;
    WeightSource weights;
    ModelTensors tensors;  // points into `weights`; stays valid after a move
    Tokenizer tokenizer;
    ChatTemplate chat_template;
    // True if config.json ties lm_head to the embedding, but the folder has an lm_head with other values.
    bool lm_head_is_untied = false;
};

// Opens the folder. `template_override` is the value of --chat-template, if it was given. Errors: bad_model,
// with a message that names the faulty file; bad_configuration for an unknown template. If several things are
// wrong with the folder, the message has one line for each of them, and the code is that of the first one.
result<Checkpoint> open_checkpoint(const std::filesystem::path& folder,
                                   const std::optional<std::string>& template_override);

}  // namespace solard
