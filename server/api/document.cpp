#include "server/api/document.hpp"

#include <algorithm>

namespace solard::server {

void Document::add(std::size_t count, bool separated, AppendItem append_item) {
    if (count == 0) return;
    parts_.push_back({std::exchange(tail_, {}), count, separated, std::move(append_item)});
}

void Document::render(std::string& out, std::size_t max_bytes) {
    const std::size_t limit = out.size() + std::min(max_bytes, out.max_size());
    for (; first_part_ < parts_.size(); ++first_part_) {
        Part& part = parts_[first_part_];
        out += std::exchange(part.before, {});
        for (; part.next < part.count; ++part.next) {
            if (out.size() >= limit) return;
            if (part.separated && part.next > 0) out += ',';
            part.append_item(out, part.next);
        }
    }
    if (!parts_.empty() && out.size() >= limit) return;
    parts_.clear();
    first_part_ = 0;
    if (out.empty()) {
        std::swap(out, tail_);
    } else {
        out += tail_;
        tail_.clear();
    }
}

}  // namespace solard::server
