#include "inference/text/stop_matcher.hpp"

#include <algorithm>
#include <utility>

namespace solard {

StopMatcher::Pattern::Pattern(std::string stop) : text(std::move(stop)), borders(text.size() + 1, 0) {
    for (std::size_t end = 1; end < text.size(); ++end) {
        borders[end + 1] = extended(borders[end], text[end]);
    }
}

std::size_t StopMatcher::Pattern::extended(std::size_t length, char c) const {
    while (length > 0 && text[length] != c) length = borders[length];
    return text[length] == c ? length + 1 : 0;
}

bool StopMatcher::Pattern::completed_by(char c) {
    if (text.empty()) return false;
    if (matched == text.size()) matched = borders[matched];
    matched = extended(matched, c);
    return matched == text.size();
}

StopMatcher::StopMatcher(std::vector<std::string> stops, UnsearchedParts unsearched)
    : begin_(std::move(unsearched.begin)), end_(std::move(unsearched.end)), at_start_(unsearched.at_start) {
    for (std::string& stop : stops) patterns_.emplace_back(std::move(stop));
}

// Returns false if the character belongs to a part that is not searched.
bool StopMatcher::is_searched(char c) {
    if (!in_unsearched_) {
        if (at_start_ && !begin_.text.empty() && begin_.text[begin_.matched] != c) begin_ = Pattern({});
        in_unsearched_ = begin_.completed_by(c);
        at_start_ = at_start_ && !in_unsearched_;
        return true;
    }
    if (end_.completed_by(c)) {
        in_unsearched_ = false;
        begin_.matched = 0;
        end_.matched = 0;
    }
    return false;
}

void StopMatcher::pass(std::string_view text, std::string& out) {
    for (const char c : text) is_searched(c);
    out += text;
}

bool StopMatcher::append(std::string_view text, std::string& out) {
    for (const char c : text) {
        held_ += c;
        const bool searched = is_searched(c);
        if (found_) ++found_->age;
        if (!searched || in_unsearched_) {
            // What overlaps the beginning of the part does not count.
            for (Pattern& pattern : patterns_) pattern.matched = 0;
            found_.reset();
            continue;
        }
        std::optional<Match> match;
        for (std::size_t i = 0; i < patterns_.size(); ++i) {
            Pattern& pattern = patterns_[i];
            // A complete pattern goes on here only while it is not known whether it counts.
            if (pattern.matched == pattern.text.size()) pattern.matched = pattern.borders[pattern.matched];
            pattern.matched = pattern.extended(pattern.matched, c);
            if (pattern.matched == pattern.text.size() && (!match || pattern.matched > match->size))
                match = Match{i, pattern.matched};
        }
        if (!found_) found_ = match;
        if (found_ && begin_.matched <= found_->age) {
            end_at(*found_, out);
            return true;
        }
    }
    std::size_t keep = found_ ? found_->size + found_->age : 0;
    for (const Pattern& pattern : patterns_) keep = std::max(keep, pattern.matched);
    out.append(held_, 0, held_.size() - keep);
    held_.erase(0, held_.size() - keep);
    return false;
}

void StopMatcher::end_at(const Match& match, std::string& out) {
    out.append(held_, 0, held_.size() - match.age - match.size);
    held_.clear();
    matched_ = match.index;
}

void StopMatcher::flush(std::string& out) {
    if (found_) return end_at(*found_, out);
    out += held_;
    held_.clear();
}

}  // namespace solard
