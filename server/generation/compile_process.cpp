#include "server/generation/compile_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <iostream>
#include <new>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "server/config/shown.hpp"

namespace solard::server {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int vocabulary_descriptor = 3;
constexpr int first_free_descriptor = 5;  // after those that spawn() overwrites
constexpr std::size_t max_compiled_bytes = 16 << 20;
// The parent ends a child long before that. This limit holds if the parent is stopped.
constexpr rlim_t max_cpu_seconds = 60;
constexpr char succeeded = '+';  // the first byte of the child's answer
constexpr char refused = '-';

[[noreturn]] void throw_system_error(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

class Descriptor {
  public:
    explicit Descriptor(int number = -1) : number_(number) {}
    ~Descriptor() { reset(); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int get() const { return number_; }
    void reset(int number = -1) {
        if (number_ >= 0) ::close(number_);
        number_ = number;
    }

  private:
    int number_;
};

// A child process, which the destructor ends.
class Child {
  public:
    explicit Child(pid_t pid) : pid_(pid) {}
    ~Child() {
        if (pid_ > 0) end();
    }
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    // Ends the process, waits for it and returns how much time of a processor it has used. Must be called at
    // most once.
    std::chrono::microseconds end() {
        rusage usage{};
        ::kill(pid_, SIGKILL);
        while (::wait4(pid_, nullptr, 0, &usage) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        const auto time_of = [](const timeval& time) {
            return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
        };
        return time_of(usage.ru_utime) + time_of(usage.ru_stime);
    }

  private:
    pid_t pid_;
};

// Starts the program with `socket` as stdin and stdout. It inherits no other descriptor but stderr and the
// vocabulary.
std::optional<pid_t> spawn(int socket, int vocabulary, const CompileLimits& limits) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    // The socket may have a number that is overwritten here, so it is moved out of the way first.
    constexpr int spare = vocabulary_descriptor + 1;
    ::posix_spawn_file_actions_adddup2(&actions, socket, spare);
    ::posix_spawn_file_actions_adddup2(&actions, vocabulary, vocabulary_descriptor);
    ::posix_spawn_file_actions_adddup2(&actions, spare, STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, spare, STDOUT_FILENO);
    ::posix_spawn_file_actions_addclosefrom_np(&actions, vocabulary_descriptor + 1);
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    std::string program = "solard";
    std::string command = compile_command;
    std::string memory = std::to_string(limits.memory);
    const std::array<char*, 4> arguments{program.data(), command.data(), memory.data(), nullptr};
    pid_t pid = -1;
    const int error = ::posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    return error == 0 ? std::optional(pid) : std::nullopt;
}

// Waits until the socket is ready for `events`. Returns false at the deadline.
bool wait_for(int socket, short events, Clock::time_point deadline) {
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) return false;
        pollfd descriptor{.fd = socket, .events = events, .revents = 0};
        const int count = ::poll(&descriptor, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000)));
        if (count > 0) return true;
        if (count < 0 && errno != EINTR) return false;
    }
}

// Sends the bytes and then reads until the other end closes. Returns nothing at the deadline.
std::optional<std::string> exchange(int socket, std::string_view bytes, Clock::time_point deadline) {
    while (!bytes.empty()) {
        if (!wait_for(socket, POLLOUT, deadline)) return std::nullopt;
        const ssize_t count = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno != EAGAIN && errno != EINTR)
            break;  // the child has ended; its answer says why
        if (count > 0) bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    ::shutdown(socket, SHUT_WR);
    std::string answer;
    std::array<char, 64 << 10> buffer;
    while (answer.size() < max_compiled_bytes) {
        if (!wait_for(socket, POLLIN, deadline)) return std::nullopt;
        const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
        if (count == 0) return answer;
        if (count < 0 && errno != EAGAIN && errno != EINTR) return answer;
        if (count > 0) answer.append(buffer.data(), static_cast<std::size_t>(count));
    }
    return std::nullopt;
}

std::string read_all(int descriptor) {
    std::string text;
    std::array<char, 64 << 10> buffer;
    for (;;) {
        const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return text;
        text.append(buffer.data(), static_cast<std::size_t>(count));
    }
}

void write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(descriptor, text.data(), text.size());
        if (count < 0 && errno != EINTR) return;
        if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
    }
}

// Sets the limits of the process. Sanitizers reserve more address space than any limit allows.
void limit_process(std::uint64_t memory) {
    const auto limit = [](auto resource, rlim_t value) {
        const rlimit both{.rlim_cur = value, .rlim_max = value};
        ::setrlimit(resource, &both);
    };
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, max_cpu_seconds);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    limit(RLIMIT_AS, memory);
#else
    (void)memory;
#endif
}

result<GrammarVocabulary> inherited_vocabulary() {
    struct stat status{};
    if (::fstat(vocabulary_descriptor, &status) != 0 || status.st_size <= 0)
        return Error{errc::server_error, "there is no vocabulary"};
    const auto size = static_cast<std::size_t>(status.st_size);
    void* const bytes = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, vocabulary_descriptor, 0);
    if (bytes == MAP_FAILED) throw std::bad_alloc();
    auto vocabulary = unpacked({static_cast<const char*>(bytes), size});
    ::munmap(bytes, size);
    if (!vocabulary) return to_server_error(vocabulary.error());
    return *std::move(vocabulary);
}

// Returns the answer of the child: what was compiled, or what is wrong with the grammar.
std::string compile_for_parent() {
    const std::string request = read_all(STDIN_FILENO);
    if (request.empty()) return std::string(1, refused) + "there is no grammar";
    const auto vocabulary = inherited_vocabulary();
    if (!vocabulary) return refused + vocabulary.error().message;
    const auto compiled =
        compile_grammar({static_cast<GrammarSource::Kind>(request.front()), request.substr(1)}, *vocabulary);
    if (!compiled) return refused + compiled.error().message;
    return succeeded + *compiled;
}

}  // namespace

SharedVocabulary::SharedVocabulary(const GrammarVocabulary& vocabulary) {
    const Descriptor file(::memfd_create("vocabulary", MFD_CLOEXEC));
    if (file.get() < 0) throw_system_error("memfd_create");
    write_all(file.get(), packed(vocabulary));
    // spawn() uses the lower numbers.
    descriptor_ = ::fcntl(file.get(), F_DUPFD_CLOEXEC, first_free_descriptor);
    if (descriptor_ < 0) throw_system_error("fcntl");
}

SharedVocabulary::~SharedVocabulary() {
    ::close(descriptor_);
}

Error late_error(std::chrono::microseconds used, const CompileLimits& limits) {
    if (used < limits.time / 2)
        return {errc::server_overloaded,
                "The machine is too busy to compile the grammar in time (--grammar-timeout); retry later."};
    return {errc::invalid_value, "The grammar takes too long to compile (--grammar-timeout); simplify it."};
}

result<std::string> compile_in_child(const GrammarSource& source, const SharedVocabulary& vocabulary,
                                     const CompileLimits& limits) {
    const auto deadline = Clock::now() + limits.time;
    std::array<int, 2> sockets{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0)
        return Error{errc::server_error, "The grammar could not be compiled: no socket could be opened."};
    const Descriptor parent_end(sockets[0]);
    Descriptor child_end(sockets[1]);
    const auto pid = spawn(child_end.get(), vocabulary.descriptor(), limits);
    child_end.reset();
    if (!pid)
        return Error{errc::server_error, "The grammar could not be compiled: no process could be started."};
    Child child(*pid);
    const auto answer = exchange(parent_end.get(), static_cast<char>(source.kind) + source.text, deadline);
    if (!answer) return late_error(child.end(), limits);
    if (answer->empty())
        return Error{
            errc::invalid_value,
            "The grammar takes too much time or memory to compile (--grammar-timeout, --grammar-memory); "
            "simplify it."};
    if (answer->front() == succeeded) return answer->substr(1);
    return Error{errc::invalid_value, "The grammar cannot be used: " + shown(answer->substr(1))};
}

int run_compile_child(std::string_view memory_limit) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    std::uint64_t memory = 0;
    std::from_chars(memory_limit.data(), memory_limit.data() + memory_limit.size(), memory);
    if (memory == 0) {
        std::cerr << "solard: " << compile_command << " is an internal command of the server\n";
        return exit_code(errc::bad_command_line);
    }
    limit_process(memory);
    try {
        const std::string answer = compile_for_parent();
        write_all(STDOUT_FILENO, answer);
    } catch (const std::bad_alloc&) {
        return exit_code(
            errc::runtime_failure);  // without an answer, the parent knows that a limit was reached
    }
    return 0;
}

}  // namespace solard::server
