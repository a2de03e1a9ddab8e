// Reads the settings of the rotary position embedding from config.json.
#pragma once

#include "inference/model/config_reader.hpp"
#include "inference/model/rope.hpp"

namespace solard {

struct RopeConfig {
    double theta = 10000;
    RopeScaling scaling;
};

// Reads `rope_theta`, and the scaling in either spelling: `rope_scaling` with "type" or "rope_type" (versions
// 4 of transformers), or `rope_parameters` with "rope_type" and "rope_theta" (version 5). Types of scaling
// other than those of RopeScaling, and settings that a type does not have, are refused by name. A problem is
// recorded in `fields`.
RopeConfig read_rope_config(ConfigReader& fields);

}  // namespace solard
