#include "inference/template/text_operations.hpp"

#include <algorithm>
#include <string_view>

#include "inference/template/characters.hpp"
#include "inference/template/convert.hpp"
#include "inference/template/search.hpp"

namespace solard::jinja {
namespace {

// Calls function(character, its bytes, its offset) for each character.
template <class Function>
void for_each_character(std::string_view text, Function function) {
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t size = std::min(character_size(text[i]), text.size() - i);
        function(first_character(text.substr(i)), text.substr(i, size), i);
        i += size;
    }
}

bool is_in(std::string_view character, const MarkedText* characters) {
    if (characters == nullptr) return is_space(first_character(character));
    bool found = false;
    for_each_character(characters->bytes(), [&](char32_t, std::string_view one, std::size_t) {
        found = found || one == character;
    });
    return found;
}

struct Range {
    std::size_t begin;
    std::size_t end;
};

std::vector<Range> split_at_space(std::string_view text) {
    std::vector<Range> words;
    bool in_word = false;
    for_each_character(text, [&](char32_t c, std::string_view bytes, std::size_t offset) {
        if (is_space(c)) {
            in_word = false;
        } else if (in_word) {
            words.back().end = offset + bytes.size();
        } else {
            words.push_back({offset, offset + bytes.size()});
            in_word = true;
        }
    });
    return words;
}

Value list_of_parts(Runtime& runtime, const MarkedText& text, const std::vector<Range>& ranges) {
    std::vector<Value> parts;
    runtime.charge_memory(ranges.size() * sizeof(Value));
    parts.reserve(ranges.size());
    for (const Range& range : ranges)
        parts.push_back(runtime.text(text.part(range.begin, range.end - range.begin)));
    return runtime.list(std::move(parts));
}

// Joins the words beyond the limit to one. As in Python, the white space at the outer end of the text then
// belongs to it.
void limit_words(std::vector<Range>& words, std::size_t max_splits, std::size_t text_size, bool from_right) {
    if (words.size() <= max_splits) return;
    const auto num_joined = static_cast<std::ptrdiff_t>(words.size() - max_splits - 1);
    if (from_right) {
        words.erase(words.begin(), words.begin() + num_joined);
        words.front().begin = 0;
    } else {
        words.erase(words.end() - num_joined, words.end());
        words.back().end = text_size;
    }
}

// Changes each character to upper case at the beginning of a word, and to lower case elsewhere. `is_inside`
// says whether the character after this one continues its word.
template <class Function>
Value change_words(Runtime& runtime, const MarkedText& text, Function is_inside) {
    runtime.scan(text.size());
    MarkedText result;
    bool in_word = false;
    for_each_character(text.bytes(), [&](char32_t c, std::string_view, std::size_t offset) {
        std::string changed;
        if (in_word) {
            append_lower(changed, c);
        } else {
            append_upper(changed, c);
        }
        in_word = is_inside(c);
        result.append(changed, text.trust_at(offset));
    });
    return runtime.text(std::move(result));
}

}  // namespace

Value strip(Runtime& runtime, const MarkedText& text, const MarkedText* characters, Side side) {
    const std::string_view bytes = text.bytes();
    const std::size_t set_size = characters != nullptr ? characters->size() : 0;
    std::size_t begin = 0;
    std::size_t end = bytes.size();
    while (side != Side::right && begin < end) {
        const std::size_t size = character_size(bytes[begin]);
        if (!is_in(bytes.substr(begin, size), characters)) break;
        runtime.scan(8 + set_size);
        begin += size;
    }
    while (side != Side::left && begin < end) {
        const std::size_t size = last_character_size(bytes.substr(begin, end - begin));
        if (!is_in(bytes.substr(end - size, size), characters)) break;
        runtime.scan(8 + set_size);
        end -= size;
    }
    if (begin == 0 && end == bytes.size()) return &text;
    return runtime.text(text.part(begin, end - begin));
}

Value split(Runtime& runtime, const MarkedText& text, const MarkedText* separator, std::int64_t max_splits,
            bool from_right) {
    const std::string_view bytes = text.bytes();
    const auto limit = max_splits < 0 ? bytes.size() + 1 : static_cast<std::size_t>(max_splits);
    if (separator == nullptr) {
        runtime.scan(bytes.size());
        std::vector<Range> words = split_at_space(bytes);
        limit_words(words, limit, bytes.size(), from_right);
        return list_of_parts(runtime, text, words);
    }
    const std::string_view mark = separator->bytes();
    if (mark.empty()) fail("the separator of a split is empty");
    std::vector<Range> parts;
    std::size_t begin = 0;
    std::size_t end = bytes.size();
    while (parts.size() < limit) {
        const std::size_t found = from_right ? find_last_text(runtime, bytes.substr(0, end), mark)
                                             : find_text(runtime, bytes, mark, begin);
        if (found == std::string_view::npos) break;
        if (from_right) {
            parts.push_back({found + mark.size(), end});
            end = found;
        } else {
            parts.push_back({begin, found});
            begin = found + mark.size();
        }
    }
    parts.push_back({begin, end});
    if (from_right) std::ranges::reverse(parts);
    return list_of_parts(runtime, text, parts);
}

Value split_lines(Runtime& runtime, const MarkedText& text, bool keep_ends) {
    const std::string_view bytes = text.bytes();
    runtime.scan(bytes.size());
    std::vector<Range> lines;
    std::size_t begin = 0;
    for_each_character(bytes, [&](char32_t c, std::string_view one, std::size_t offset) {
        if (offset < begin) return;  // the \n of a \r\n
        const bool ends =
            (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
        if (!ends) return;
        std::size_t next = offset + one.size();
        if (c == '\r' && bytes.substr(next).starts_with('\n')) ++next;
        lines.push_back({begin, keep_ends ? next : offset});
        begin = next;
    });
    if (begin < bytes.size()) lines.push_back({begin, bytes.size()});
    return list_of_parts(runtime, text, lines);
}

Value partition(Runtime& runtime, const MarkedText& text, const MarkedText& separator, bool from_right) {
    const std::string_view bytes = text.bytes();
    if (separator.empty()) fail("the separator of a partition is empty");
    const std::size_t found = from_right ? find_last_text(runtime, bytes, separator.bytes())
                                         : find_text(runtime, bytes, separator.bytes());
    const std::size_t end = found + separator.size();
    std::vector<Value> parts;
    if (found != std::string_view::npos) {
        parts = {runtime.text(text.part(0, found)), runtime.text(text.part(found, separator.size())),
                 runtime.text(text.part(end, bytes.size() - end))};
    } else {
        const Value nothing = runtime.text({});
        parts = from_right ? std::vector<Value>{nothing, nothing, &text}
                           : std::vector<Value>{&text, nothing, nothing};
    }
    return runtime.list(std::move(parts), List::Kind::tuple);
}

Value replace(Runtime& runtime, const MarkedText& text, const MarkedText& old, const MarkedText& replacement,
              std::int64_t count) {
    const std::string_view bytes = text.bytes();
    MarkedText result;
    std::size_t begin = 0;  // of the text that is not copied yet
    std::size_t search = 0;
    while (count != 0 && search <= bytes.size()) {
        const std::size_t found = find_text(runtime, bytes, old.bytes(), search);
        if (found == std::string_view::npos) break;
        runtime.charge_memory(replacement.size() + found - begin);
        runtime.copy(replacement.size() + found - begin);
        result.append_part(text, begin, found - begin);
        result.append(replacement);
        begin = found + old.size();
        // An empty text occurs before each character and at the end.
        search = begin + (old.empty() ? (begin < bytes.size() ? character_size(bytes[begin]) : 1) : 0);
        if (count > 0) --count;
    }
    if (begin < bytes.size()) result.append_part(text, begin, bytes.size() - begin);
    return runtime.text(std::move(result));
}

Value join(Runtime& runtime, const MarkedText& separator, const std::vector<Value>& items) {
    MarkedText result;
    for (std::size_t i = 0; i < items.size(); ++i) {
        const MarkedText& item = to_text(runtime, items[i]);
        runtime.step();
        runtime.copy(item.size() + separator.size());
        runtime.charge_memory(item.size() + separator.size());
        if (i > 0) result.append(separator);
        result.append(item);
    }
    return runtime.text(std::move(result));
}

Value change_case(Runtime& runtime, const MarkedText& text, Case to) {
    runtime.scan(text.size());
    MarkedText result;
    for_each_character(text.bytes(), [&](char32_t c, std::string_view, std::size_t offset) {
        std::string changed;
        if (to == Case::upper || (to == Case::capitalized && offset == 0)) {
            append_upper(changed, c);
        } else {
            append_lower(changed, c);
        }
        result.append(changed, text.trust_at(offset));
    });
    return runtime.text(std::move(result));
}

Value title(Runtime& runtime, const MarkedText& text) {
    return change_words(runtime, text, is_cased);
}

Value title_filter(Runtime& runtime, const MarkedText& text) {
    return change_words(runtime, text, [](char32_t c) {
        return !is_space(c) && c != '-' && c != '(' && c != '{' && c != '[' && c != '<';
    });
}

Value reverse(Runtime& runtime, const MarkedText& text) {
    runtime.scan(text.size());
    MarkedText result;
    for (std::size_t end = text.size(); end > 0;) {
        const std::size_t size = last_character_size(std::string_view(text.bytes()).substr(0, end));
        end -= size;
        result.append_part(text, end, size);
    }
    return runtime.text(std::move(result));
}

bool has_case(Runtime& runtime, const MarkedText& text, bool upper) {
    runtime.scan(text.size());
    bool has_any = false;
    bool has_other = false;
    for_each_character(text.bytes(), [&](char32_t c, std::string_view, std::size_t) {
        has_any = has_any || (upper ? is_upper(c) : is_lower(c));
        has_other = has_other || (upper ? is_lower(c) : is_upper(c));
    });
    return has_any && !has_other;
}

}  // namespace solard::jinja
