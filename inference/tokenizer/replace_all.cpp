#include "inference/tokenizer/replace_all.hpp"

namespace solard {

Replacement read_replacement(ObjectReader& reader) {
    Replacement replacement;
    replacement.content = reader.string("content");
    if (auto pattern = reader.object("pattern")) {
        replacement.pattern = pattern->string("String", "");
        pattern->refuse_other_keys();
    }
    if (replacement.pattern.empty())
        reader.refuse("pattern", "an object with a String (other patterns are not supported)");
    return replacement;
}

std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content) {
    std::string changed;
    for (auto found = text.find(pattern); found != std::string_view::npos; found = text.find(pattern)) {
        changed.append(text.substr(0, found)).append(content);
        text.remove_prefix(found + pattern.size());
    }
    return changed.append(text);
}

MarkedText replace_all(const MarkedText& text, std::string_view pattern, std::string_view content) {
    const std::string& bytes = text.bytes();
    MarkedText changed;
    std::size_t begin = 0;  // of the text that is not copied yet
    for (auto found = bytes.find(pattern); found != std::string::npos; found = bytes.find(pattern, begin)) {
        const bool is_trusted = text.is_trusted(found, pattern.size());
        changed.append_part(text, begin, found - begin);
        changed.append(content, is_trusted ? Trust::trusted : Trust::untrusted);
        begin = found + pattern.size();
    }
    changed.append_part(text, begin, bytes.size() - begin);
    return changed;
}

}  // namespace solard
