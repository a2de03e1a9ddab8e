// The one table of options: flags, environment, file, --help and --check-config are read off it.
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

// A size, whose values take a suffix (KiB, MiB, GiB); durations are in seconds and may have a fraction.
struct Bytes {
    std::int64_t AppConfig::* member;
};
// Where the value lives in AppConfig; its type says how it is read.
using OptionMember = std::variant<std::string AppConfig::*, std::int64_t AppConfig::*, double AppConfig::*,
                                  Bytes, bool AppConfig::*, std::chrono::milliseconds AppConfig::*,
                                  std::vector<std::string> AppConfig::*>;

struct Option {
    std::string_view group;
    std::string_view name;  // long flag and file key
    OptionMember member;
    std::string_view fallback;  // default, in the option's own notation
    std::string_view help;
    double min = 0;  // numbers: the closed range, in tokens, bytes, seconds ...
    double max = 0;
    std::string_view choices = {};  // strings: "a|b|c"; empty = any
    bool command_line_only = false;
};

std::span<const Option> option_table();
// Null if there is none of that name.
const Option* find_option(std::string_view name);
bool is_flag(const Option& option);
// SOLARD_PORT for port.
std::string environment_name(std::string_view option);
// "; did you mean 'port'?", or a hint at --help where nothing is near.
std::string suggestion_for(std::string_view unknown_name);

}  // namespace solard::server
