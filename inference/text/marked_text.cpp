#include "inference/text/marked_text.hpp"

#include <algorithm>
#include <utility>

namespace solard {

MarkedText::MarkedText(std::string bytes, Trust trust) : bytes_(std::move(bytes)) {
    if (!bytes_.empty()) runs_.push_back({bytes_.size(), trust});
}

void MarkedText::append(std::string_view bytes, Trust trust) {
    if (bytes.empty()) return;
    bytes_ += bytes;
    end_run(trust);
}

void MarkedText::append_part(const MarkedText& other, std::size_t begin, std::size_t size) {
    const std::size_t end = begin + size;
    for (std::size_t i = other.run_at(begin); begin < end; ++i) {
        const std::size_t run_end = std::min(other.runs_[i].end, end);
        append(std::string_view(other.bytes_).substr(begin, run_end - begin), other.runs_[i].trust);
        begin = run_end;
    }
}

MarkedText MarkedText::part(std::size_t begin, std::size_t size) const {
    MarkedText text;
    text.append_part(*this, begin, size);
    return text;
}

Trust MarkedText::trust_at(std::size_t offset) const {
    return runs_[run_at(offset)].trust;
}

bool MarkedText::is_all(Trust trust, std::size_t begin, std::size_t size) const {
    const Run& run = runs_[run_at(begin)];
    return run.trust == trust && begin + size <= run.end;
}

std::size_t MarkedText::run_at(std::size_t offset) const {
    return static_cast<std::size_t>(std::ranges::upper_bound(runs_, offset, {}, &Run::end) - runs_.begin());
}

// Marks the bytes after the last run.
void MarkedText::end_run(Trust trust) {
    if (!runs_.empty() && runs_.back().trust == trust) {
        runs_.back().end = bytes_.size();
    } else {
        runs_.push_back({bytes_.size(), trust});
    }
}

}  // namespace solard
