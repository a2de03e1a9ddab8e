// The replacement of a text by another one, as the normalizers and decoders of tokenizer.json describe it.
#pragma once

#include <string>
#include <string_view>

#include "inference/text/marked_text.hpp"
#include "inference/tokenizer/object_reader.hpp"

namespace solard {

struct Replacement {
    std::string pattern;
    std::string content;
};

// Reads "pattern", which must be {"String": ..}, and "content". A problem is recorded in the reader.
Replacement read_replacement(ObjectReader& reader);

// Returns `text` with each occurrence of `pattern`, which must not be empty, replaced.
std::string replace_all(std::string_view text, std::string_view pattern, std::string_view content);
// The same; `content` is trusted where it replaces trusted bytes.
MarkedText replace_all(const MarkedText& text, std::string_view pattern, std::string_view content);

}  // namespace solard
