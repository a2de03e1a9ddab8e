#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <charconv>
#include <stdexcept>

#include "server/observe/background_writer.hpp"
#include "server/observe/log.hpp"

namespace solard::server {
using namespace std::chrono_literals;

namespace {

std::chrono::steady_clock::time_point soon() {
    return std::chrono::steady_clock::now() + 60s;
}

// A pipe with a capacity of one memory page. Only the test itself reads from the pipe.
class Pipe {
  public:
    Pipe() {
        BOOST_REQUIRE(pipe2(ends_, O_CLOEXEC) == 0);
        fcntl(ends_[1], F_SETPIPE_SZ, 4096);
    }
    ~Pipe() {
        close_reader();
        close(ends_[1]);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    int input() const { return ends_[1]; }
    void close_reader() {
        if (ends_[0] >= 0) close(std::exchange(ends_[0], -1));
    }
    std::string read_line() {
        while (buffer_.find('\n') == std::string::npos) {
            pollfd readable{.fd = ends_[0], .events = POLLIN, .revents = 0};
            if (poll(&readable, 1, 60'000) != 1)
                throw std::runtime_error("nothing was written for 60 seconds");
            char bytes[4096];
            const auto size = read(ends_[0], bytes, sizeof bytes);
            BOOST_REQUIRE(size > 0);
            buffer_.append(bytes, static_cast<std::size_t>(size));
        }
        const auto end = buffer_.find('\n');
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
    }

  private:
    int ends_[2];
    std::string buffer_;
};

void append_notice(std::uint64_t num_lost, std::string& text) {
    text.append("lost ").append(std::to_string(num_lost)).append("\n");
}

std::uint64_t number_in(std::string_view text) {
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

// Returns a line of 100 characters that begins with `number`.
std::string line_of(std::uint64_t number) {
    std::string line = std::to_string(number);
    line.resize(99, ' ');
    return line + '\n';
}

}  // namespace

BOOST_AUTO_TEST_SUITE(background_writer)

BOOST_AUTO_TEST_CASE(lines_arrive_in_order) {
    Pipe pipe;
    BackgroundWriter writer(pipe.input(), append_notice);
    for (std::uint64_t i = 0; i < 1000; ++i) writer.append(line_of(i));
    for (std::uint64_t i = 0; i < 1000; ++i) BOOST_TEST(number_in(pipe.read_line()) == i);
    BOOST_TEST(writer.flush_until(soon()));
    BOOST_TEST(writer.num_lost() == 0);
}

BOOST_AUTO_TEST_CASE(lines_are_lost_and_counted_while_nobody_reads) {
    Pipe pipe;
    BackgroundWriter writer(pipe.input(), append_notice);
    std::uint64_t num_lines = 0;
    constexpr std::uint64_t more_than_fit = 3 * BackgroundWriter::capacity / 100;
    while (writer.num_lost() < 17 && num_lines < more_than_fit) writer.append(line_of(num_lines++));
    BOOST_TEST(writer.num_lost() == 17);
    BOOST_TEST(!writer.flush_until(std::chrono::steady_clock::now()));

    // Wherever lines are missing, there must be a notice with the number of the missing lines.
    std::uint64_t expected = 0;
    std::uint64_t num_reported = 0;
    while (expected < num_lines) {
        const std::string line = pipe.read_line();
        if (line.starts_with("lost ")) {
            num_reported += number_in(line.substr(5));
            expected += number_in(line.substr(5));
        } else {
            BOOST_REQUIRE(number_in(line) == expected);
            ++expected;
        }
    }
    BOOST_TEST(num_reported == 17);
    writer.append(line_of(num_lines));
    BOOST_TEST(number_in(pipe.read_line()) == num_lines);
    BOOST_TEST(writer.flush_until(soon()));
    BOOST_TEST(writer.num_lost() == 17);
}

BOOST_AUTO_TEST_CASE(closed_reader_closed_descriptor_and_full_disk_lose_lines_and_nothing_else) {
    Pipe pipe;
    pipe.close_reader();
    constexpr int closed = -1;
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    for (const int descriptor : {pipe.input(), closed, full}) {
        BackgroundWriter writer(descriptor, append_notice);
        writer.append("one\ntwo\n");
        BOOST_TEST(writer.flush_until(soon()));
        writer.append("three\n");
        BOOST_TEST(writer.flush_until(soon()));
        BOOST_TEST(writer.num_lost() == 3);
    }
    close(full);
}

BOOST_AUTO_TEST_CASE(descriptor_that_was_made_non_blocking_gets_every_line) {
    Pipe pipe;
    fcntl(pipe.input(), F_SETFL, O_NONBLOCK);
    BackgroundWriter writer(pipe.input(), append_notice);
    for (std::uint64_t i = 0; i < 1000; ++i) writer.append(line_of(i));
    for (std::uint64_t i = 0; i < 1000; ++i) BOOST_TEST(number_in(pipe.read_line()) == i);
    BOOST_TEST(writer.flush_until(soon()));
}

BOOST_AUTO_TEST_CASE(destructor_does_not_wait_for_a_reader_but_the_lines_are_still_written) {
    Pipe pipe;
    {
        BackgroundWriter writer(pipe.input(), append_notice);
        for (std::uint64_t i = 0; i < 1000; ++i) writer.append(line_of(i));
    }
    for (std::uint64_t i = 0; i < 1000; ++i) BOOST_TEST(number_in(pipe.read_line()) == i);
}

BOOST_AUTO_TEST_CASE(log_goes_to_its_writer_with_control_characters_escaped) {
    Pipe pipe;
    BackgroundWriter writer(pipe.input(), append_log_loss_notice);
    set_log_writer(&writer);
    log(LogLevel::error, "first\nforged");
    set_log_writer(nullptr);
    BOOST_TEST(pipe.read_line().ends_with("Z error first\\x0aforged"));
    std::string notice;
    append_log_loss_notice(17, notice);
    BOOST_TEST(notice.ends_with("Z warning 17 log lines were lost because stderr did not accept them\n"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
