// The command `solard keygen`, which makes an API key.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace solard::server {

// Runs `keygen [--name NAME] [--api-key-file FILE]`: prints a new key and appends a line with its hash to the
// file. A file that does not exist is created, accessible by its owner only. Without --api-key-file, the line
// is printed to `err`. `arguments` are the arguments after the word keygen. Returns the exit code.
int run_keygen(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace solard::server
