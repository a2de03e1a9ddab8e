// Finds the folder of the model that a person names, and explains folders which cannot be served.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "inference/error.hpp"

namespace solard {

// Returns the folder in which the Hugging Face libraries keep downloaded models: $HF_HUB_CACHE, else
// $HF_HOME/hub, else $XDG_CACHE_HOME/huggingface/hub, else $HOME/.cache/huggingface/hub. A variable that is
// empty counts as not set, and ~ at the beginning of a value means $HOME. Returns an empty path if none of
// them is set.
std::filesystem::path hub_cache_folder();

// Returns the folder of the model that `name` means, which is one of these:
//   - a folder,
//   - the folder of a model in a Hugging Face cache (models--ORG--NAME), which stands for its version `main`
//     or, if main is not there, for its only version,
//   - the name ORG/NAME of a model whose folder is in `hub_cache`.
// Nothing is downloaded. Errors: bad_model, with one line that says what was looked for and what to type.
result<std::filesystem::path> find_model_folder(const std::string& name,
                                                const std::filesystem::path& hub_cache);

// Returns an error if `path` is not a folder, or if the folder is of a kind that people often have but that
// cannot be served: pointers of Git LFS, an adapter, a quantized model, or weights in another format than
// safetensors. The error is bad_model, with one line that says what the folder is and what to type. Reads
// only small files.
std::optional<Error> why_not_servable(const std::filesystem::path& path);

}  // namespace solard
