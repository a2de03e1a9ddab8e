// Counts the fragments of each WebSocket message in the bytes from the client. Beast joins fragments and
// limits only the size of the whole message, so a client could send any number of empty fragments.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace solard::server {

// Reads only the headers of the frames (RFC 6455, section 5.2), and skips their payload. Does not check the
// headers, because Beast checks them.
class FragmentCounter {
  public:
    static constexpr std::size_t max_fragments = 1024;  // of one message

    // Reads the next bytes of the client, which may begin and end anywhere in a frame. Returns true if, with
    // these bytes, a message has more than max_fragments fragments. Allocates nothing.
    bool note(std::string_view bytes);

  private:
    std::size_t header_size() const;
    bool begin_payload();

    std::array<unsigned char, 14> header_{};
    std::size_t num_header_bytes_ = 0;  // received so far
    std::uint64_t payload_left_ = 0;    // bytes of the frame that are still to come
    std::size_t num_fragments_ = 0;     // of the message that is being received
};

}  // namespace solard::server
