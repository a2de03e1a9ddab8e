// The architectures that are served. All of them have Llama's layer; a row of the table says what else one
// may have.
#pragma once

#include <cstdint>
#include <string_view>

#include "inference/model/config_reader.hpp"

namespace solard {

struct Architecture {
    std::string_view model_type;  // in config.json
    std::string_view name;        // in `architectures` of config.json
    // The sliding window of a config.json that does not mention one; 0: the architecture has no such key.
    std::int32_t default_sliding_window = 0;
};

// Returns the architecture that `model_type` and, if it is there, `architectures` name. Refuses others by
// name, and every setting that would need other arithmetic than Llama's. A problem is recorded in `fields`.
const Architecture& read_architecture(ConfigReader& fields);

}  // namespace solard
