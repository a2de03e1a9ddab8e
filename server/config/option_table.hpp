// The only table of options. It defines the flags, the environment variables, the file keys, --help and
// --check-config.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/config/app_config.hpp"

namespace solard::server {

// Points to a member that is a size in bytes. Its value may be given with the suffix KiB, MiB or GiB.
struct Bytes {
    std::int64_t AppConfig::* member;
};
// The member of AppConfig that holds the value. Its type decides how the value is read. Durations are given
// in seconds and may have a fraction.
using OptionMember = std::variant<std::string AppConfig::*, std::int64_t AppConfig::*, double AppConfig::*,
                                  Bytes, bool AppConfig::*, std::chrono::milliseconds AppConfig::*,
                                  std::vector<std::string> AppConfig::*>;

struct Option {
    std::string_view group;
    std::string_view name;  // the long flag and the file key
    OptionMember member;
    std::string_view fallback;  // default, in the option's own notation
    std::string_view help;
    // For numbers: the smallest and the largest allowed value, in the option's own unit.
    double min = 0;
    double max = 0;
    std::string_view choices = {};  // for strings: "a|b|c"; empty = any text
    bool command_line_only = false;
    bool secret = false;  // for strings: must not be empty, and is never shown
};

std::span<const Option> option_table();
// Returns null if there is no option of that name.
const Option* find_option(std::string_view name);
bool is_flag(const Option& option);
// Returns the name of the environment variable: SOLARD_PORT for port.
std::string environment_name(std::string_view option);
// Returns "; did you mean 'port'?", or "; see --help" if no name is similar.
std::string suggestion_for(std::string_view unknown_name);

}  // namespace solard::server
