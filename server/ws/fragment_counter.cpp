#include "server/ws/fragment_counter.hpp"

#include <algorithm>

namespace solard::server {
namespace {

constexpr std::size_t mask_size = 4;

// Returns the number of bytes which hold the length of the payload, after the first two bytes of the header.
std::size_t length_size(unsigned second_byte) {
    const unsigned length = second_byte & 0x7fU;
    return length == 127 ? 8 : length == 126 ? 2 : 0;
}

}  // namespace

bool FragmentCounter::note(std::string_view bytes) {
    bool too_many = false;
    while (!bytes.empty()) {
        if (payload_left_ > 0) {
            const auto skipped = std::min<std::uint64_t>(payload_left_, bytes.size());
            payload_left_ -= skipped;
            bytes.remove_prefix(static_cast<std::size_t>(skipped));
            continue;
        }
        header_[num_header_bytes_++] = static_cast<unsigned char>(bytes.front());
        bytes.remove_prefix(1);
        if (num_header_bytes_ < header_size()) continue;
        num_header_bytes_ = 0;
        too_many = begin_payload() || too_many;
    }
    return too_many;
}

std::size_t FragmentCounter::header_size() const {
    if (num_header_bytes_ < 2) return 2;
    const bool has_mask = (header_[1] & 0x80U) != 0;
    return 2 + length_size(header_[1]) + (has_mask ? mask_size : 0);
}

bool FragmentCounter::begin_payload() {
    const std::size_t size = length_size(header_[1]);
    payload_left_ = size == 0 ? header_[1] & 0x7fU : 0;
    for (std::size_t i = 0; i < size; ++i) payload_left_ = payload_left_ << 8U | header_[2 + i];
    const bool is_control_frame = (header_[0] & 0x08U) != 0;
    if (is_control_frame) return false;
    const bool too_many = ++num_fragments_ > max_fragments;
    const bool is_final = (header_[0] & 0x80U) != 0;
    if (is_final) num_fragments_ = 0;
    return too_many;
}

}  // namespace solard::server
