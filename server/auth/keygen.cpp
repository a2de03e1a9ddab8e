#include "server/auth/keygen.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <ostream>

#include "server/auth/api_keys.hpp"

namespace solard::server {
namespace {

constexpr int command_line_error = 2;
constexpr int runtime_error = 1;

// Appends the line in a single write, so that the lines of two keygen processes cannot mix if both run at the
// same time. A new file is never accessible by other users.
bool append_line(const std::string& path, const std::string& line) {
    const int file = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0) return false;
    const std::string text = line + "\n";
    const bool written = write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    return (close(file) == 0) && written;
}

}  // namespace

int run_keygen(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err) {
    std::string name = "default";
    std::string path;
    for (std::size_t i = 0; i < arguments.size(); i += 2) {
        std::string* const value = arguments[i] == "--name"           ? &name
                                   : arguments[i] == "--api-key-file" ? &path
                                                                      : nullptr;
        if (value == nullptr || i + 1 == arguments.size()) {
            err << "usage: solard keygen [--name NAME] [--api-key-file FILE]\n";
            return command_line_error;
        }
        *value = arguments[i + 1];
    }
    if (!is_key_name(name)) {
        err << "solard: --name: expected a name of 1 to 64 letters, digits, dots, underscores or dashes\n";
        return command_line_error;
    }
    const NewApiKey key = make_api_key(name);
    if (path.empty()) {
        err << "append this line to the file of --api-key-file:\n" << key.line << '\n';
    } else if (!append_line(path, key.line)) {
        err << "solard: " << path << ": the API key file cannot be written\n";
        return runtime_error;
    }
    out << key.secret << '\n';
    return 0;
}

}  // namespace solard::server
