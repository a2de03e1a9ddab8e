// `solard keygen`: makes an API key.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace solard::server {

// keygen [--name NAME] [--api-key-file FILE]: prints a new key once and appends its hash to the file, which
// is made with owner-only mode if it does not exist; without a file the line to put there is printed as well.
// `arguments` follow the word keygen. Gives the exit code.
int run_keygen(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace solard::server
