// Operations on texts which keep the mark of each character. Each charges its work and its result.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "inference/template/runtime.hpp"
#include "inference/text/marked_text.hpp"

namespace solard::jinja {

enum class Side { left, right, both };
// Returns the text without the characters of `characters` (null: white space) at its ends.
Value strip(Runtime& runtime, const MarkedText& text, const MarkedText* characters, Side side);
// Returns the pieces between the separators (null: runs of white space), at most `max_splits` + 1 if it is
// not negative. `from_right` counts the splits from the end.
Value split(Runtime& runtime, const MarkedText& text, const MarkedText* separator, std::int64_t max_splits,
            bool from_right);
Value split_lines(Runtime& runtime, const MarkedText& text, bool keep_ends);
// Returns (before, separator, after), as Python's partition() and rpartition().
Value partition(Runtime& runtime, const MarkedText& text, const MarkedText& separator, bool from_right);
// Replaces at most `count` occurrences; a negative count is no limit.
Value replace(Runtime& runtime, const MarkedText& text, const MarkedText& old, const MarkedText& replacement,
              std::int64_t count);
Value join(Runtime& runtime, const MarkedText& separator, const std::vector<Value>& items);

enum class Case { upper, lower, capitalized };
Value change_case(Runtime& runtime, const MarkedText& text, Case to);
// Python's str.title(): a letter after something that is no letter is upper case.
Value title(Runtime& runtime, const MarkedText& text);
// The filter `title`, in which words begin after white space and after - ( { [ <.
Value title_filter(Runtime& runtime, const MarkedText& text);
Value reverse(Runtime& runtime, const MarkedText& text);

// Returns true if the text has an upper or lower case, and all such characters have this one.
bool has_case(Runtime& runtime, const MarkedText& text, bool upper);

}  // namespace solard::jinja
