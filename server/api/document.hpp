// A text that is rendered in pieces, so that a long text does not keep the event loop busy.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/api/json.hpp"

namespace solard::server {

// Stores short text, and renders long text only when render() reaches it. A Document may be moved.
class Document {
  public:
    using AppendItem = std::function<void(std::string&, std::size_t)>;

    // Returns the end of the document, to which the caller appends short text.
    std::string& tail() { return tail_; }
    // Adds `count` items, which are separated by commas if `separated` is true. `append_item(out, i)` is
    // called once per item, in order.
    void add(std::size_t count, bool separated, AppendItem append_item);

    // Returns true if there is nothing to render.
    bool empty() const { return parts_.empty() && tail_.empty(); }
    // Moves text from the front of the document to the end of `out`, until at least `max_bytes` bytes are
    // moved or the document is empty. An item is always moved whole, so `out` can grow by more than
    // `max_bytes`.
    void render(std::string& out, std::size_t max_bytes);

  private:
    struct Part {
        std::string before;
        std::size_t count;
        bool separated;
        AppendItem append_item;
        std::size_t next = 0;
    };
    std::vector<Part> parts_;
    std::size_t first_part_ = 0;  // index of the first part that is not fully rendered
    std::string tail_;            // the text after the last part
};

// The functions below, and all writers of JSON that are templates, write to a string or to a Document. A
// string is written during the call. A Document is written later, when it is rendered. Only then does the
// Document read the arguments that were passed by reference, so these arguments must outlive it. If such an
// argument contains a view, its owner may replace the view by another view of the same content, but only
// between two calls of render().
inline std::string& tail_of(std::string& out) {
    return out;
}
inline std::string& tail_of(Document& out) {
    return out.tail();
}

// Appends the characters of a JSON string, without the quotation marks.
inline void append_characters(std::string& out, std::string_view text) {
    append_json_characters(out, text);
}
// Appends a text of `size` bytes, which `get_text` returns whenever a part of it is rendered.
template <class Function>
void append_sliced(Document& out, std::size_t size, Function get_text) {
    constexpr std::size_t slice = 4096;  // bytes
    out.add((size + slice - 1) / slice, false, [get_text](std::string& piece, std::size_t i) {
        append_json_characters(piece, std::string_view(get_text()).substr(i * slice, slice));
    });
}
template <class Text>  // std::string or std::string_view
void append_characters(Document& out, const Text& text) {
    append_sliced(out, text.size(), [&text] { return std::string_view(text); });
}

// Appends a JSON list. `append_item(out, i)` appends item i.
template <class Function>
void append_list(std::string& out, std::size_t count, Function append_item) {
    out += '[';
    for (std::size_t i = 0; i < count; ++i) {
        if (i > 0) out += ',';
        append_item(out, i);
    }
    out += ']';
}
template <class Function>
void append_list(Document& out, std::size_t count, Function append_item) {
    out.tail() += '[';
    out.add(count, true, std::move(append_item));
    out.tail() += ']';
}

}  // namespace solard::server
