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

// The contents of a model folder. Every file was checked, but no weight was read yet.
struct Checkpoint {
    ModelConfig config;
    WeightSource weights;
    ModelTensors tensors;  // points into `weights`; stays valid after a move
    Tokenizer tokenizer;
    ChatTemplate chat_template;
};

// Opens the folder. `template_override` is the value of --chat-template, if it was given. Errors: bad_model,
// with a message of one line that names the faulty file; bad_configuration for an unknown template.
result<Checkpoint> open_checkpoint(const std::filesystem::path& folder,
                                   const std::optional<std::string>& template_override);

}  // namespace solard
