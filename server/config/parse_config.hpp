// Reads the configuration from the command line, the environment and a file, and prints it.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "server/config/app_config.hpp"
#include "server/config/error.hpp"

namespace solard::server {

// Reads all options. Flags override the SOLARD_* environment variables. These variables override the
// configuration file, and the file overrides the defaults. `environment` holds "NAME=value" strings. Errors:
// bad_command_line or bad_configuration. The message is one line that names the source and, if one option is
// wrong, the option. For a line of the file, the source is its path and the number of the line.
result<AppConfig> parse_app_config(const std::vector<std::string>& arguments,
                                   const std::vector<std::string>& environment);

// Prints the text of --help.
void print_help(std::ostream& out);
// Prints every effective value with its source, for --check-config. The output is a valid configuration file.
void print_config(std::ostream& out, const AppConfig& config);

}  // namespace solard::server
