// The contents of generation_config.json: when an answer ends, and how its tokens are chosen unless a request
// says otherwise.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "inference/error.hpp"
#include "inference/token_id.hpp"

namespace solard {

struct GenerationConfig {
    // These values take the place of fields that a request does not have. Those below change nothing.
    double temperature = 1;         // [0, 2]
    double top_p = 1;               // [0, 1]
    double min_p = 0;               // [0, 1]
    std::int32_t top_k = 0;         // 0 = all
    double repetition_penalty = 1;  // (0, 2]
    std::optional<std::int32_t> max_new_tokens;

    std::vector<TokenId> eos_token_ids;  // only ids of the vocabulary; empty: config.json has them
    // The settings which change what transformers generates but have no effect here, such as "num_beams 4".
    std::vector<std::string> ignored;
};

// Reads `file`. As in vLLM, `do_sample` does not decide anything: a temperature of 0 chooses the likeliest
// token. Errors: bad_model, with a message that names the key, if a value has the wrong type or is out of its
// range.
result<GenerationConfig> read_generation_config(const std::filesystem::path& file, std::int32_t vocab_size);

}  // namespace solard
