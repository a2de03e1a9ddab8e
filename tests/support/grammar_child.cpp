// Lets a test executable compile grammars in a child process, as the program itself does.
#include <string_view>

#include "server/generation/compile_process.hpp"

int run_as_child(int argc, char** argv) {
    using namespace solard::server;
    return argc == 3 && std::string_view(argv[1]) == compile_command ? run_compile_child(argv[2]) : -1;
}
