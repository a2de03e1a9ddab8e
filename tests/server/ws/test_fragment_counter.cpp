#include "server/ws/fragment_counter.hpp"

#include <boost/test/unit_test.hpp>
#include <string>

namespace solard::server {
namespace {

constexpr unsigned text = 1;
constexpr unsigned continuation = 0;
constexpr unsigned ping = 9;
constexpr auto max_fragments = FragmentCounter::max_fragments;

// Returns a frame as a client sends it. The payload and the mask look like headers of fragments.
std::string frame(unsigned opcode, bool is_final, std::size_t size, bool has_mask = true) {
    std::string bytes(1, static_cast<char>((is_final ? 0x80U : 0U) | opcode));
    const unsigned num_length_bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;
    const auto length = num_length_bytes == 0 ? size : num_length_bytes == 2 ? 126 : 127;
    bytes += static_cast<char>((has_mask ? 0x80U : 0U) | length);
    for (unsigned i = num_length_bytes; i > 0; --i) bytes += static_cast<char>(size >> 8U * (i - 1));
    if (has_mask) bytes.append(4, '\0');
    return bytes.append(size, '\0');
}

// Returns a message of `count` fragments. Each fragment has `size` bytes.
std::string message(std::size_t count, std::size_t size, bool has_mask = true) {
    std::string bytes;
    for (std::size_t i = 0; i < count; ++i)
        bytes += frame(i == 0 ? text : continuation, i + 1 == count, size, has_mask);
    return bytes;
}

// Passes `bytes` to a counter in pieces of `piece_size` bytes. Returns true if the counter finds too many
// fragments.
bool is_too_many(const std::string& bytes, std::size_t piece_size) {
    FragmentCounter counter;
    bool found = false;
    for (std::size_t at = 0; at < bytes.size(); at += piece_size)
        found = counter.note(std::string_view(bytes).substr(at, piece_size)) || found;
    return found;
}

BOOST_AUTO_TEST_SUITE(fragment_counter)

BOOST_AUTO_TEST_CASE(message_may_have_1024_fragments) {
    for (const std::size_t size : {0U, 1U, 125U, 126U, 300U}) {
        for (const bool has_mask : {true, false}) {
            for (const std::size_t piece_size : {1U, 2U, 3U, 5U, 7U, 11U, 13U, 4096U, 1U << 20U}) {
                const std::string most = message(max_fragments, size, has_mask);
                BOOST_TEST(!is_too_many(most + most, piece_size));
                BOOST_TEST(is_too_many(most + message(max_fragments + 1, size, has_mask), piece_size));
            }
        }
    }
}

BOOST_AUTO_TEST_CASE(message_that_does_not_end_is_noticed_too) {
    FragmentCounter counter;
    BOOST_TEST(!counter.note(frame(text, false, 0)));
    for (std::size_t i = 1; i < max_fragments; ++i) BOOST_TEST(!counter.note(frame(continuation, false, 0)));
    BOOST_TEST(counter.note(frame(continuation, false, 0)));
}

BOOST_AUTO_TEST_CASE(bytes_may_be_split_anywhere) {
    const std::string end = frame(continuation, false, 70'000) + frame(ping, true, 125) +
                            frame(continuation, false, 130) + frame(continuation, false, 3);
    for (const std::size_t num_before : {max_fragments - 3U, max_fragments - 2U}) {
        std::string bytes;
        for (std::size_t i = 0; i < num_before; ++i) bytes += frame(i == 0 ? text : continuation, false, 0);
        FragmentCounter before;
        BOOST_TEST(!before.note(bytes));
        for (std::size_t at = 0; at <= end.size(); ++at) {
            FragmentCounter counter = before;
            bool found = counter.note(std::string_view(end).substr(0, at));
            found = counter.note(std::string_view(end).substr(at)) || found;
            BOOST_REQUIRE(found == (num_before == max_fragments - 2));
        }
    }
}

BOOST_AUTO_TEST_CASE(control_frames_between_fragments_do_not_count) {
    std::string bytes;
    for (std::size_t i = 0; i < max_fragments; ++i)
        bytes += frame(i == 0 ? text : continuation, i + 1 == max_fragments, 2) + frame(ping, true, 4);
    BOOST_TEST(!is_too_many(bytes + bytes, 4096));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace solard::server
