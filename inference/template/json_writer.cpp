#include "inference/template/json_writer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <string_view>

#include "inference/template/arguments.hpp"
#include "inference/template/characters.hpp"
#include "inference/template/convert.hpp"
#include "inference/template/operators.hpp"

namespace solard::jinja {
namespace {

struct Style {
    bool ascii = false;
    bool sorted = false;
    bool indented = false;
    MarkedText indent;  // of one level
    MarkedText item_separator;
    MarkedText key_separator;
};

std::string unicode_escape(char32_t unit) {
    std::string text = "\\u0000";
    for (std::size_t i = 5; i > 1; --i, unit >>= 4) text[i] = "0123456789abcdef"[unit & 15];
    return text;
}

std::string escape_of(char32_t c, bool ascii) {
    switch (c) {
        case '"':
            return "\\\"";
        case '\\':
            return "\\\\";
        case '\n':
            return "\\n";
        case '\r':
            return "\\r";
        case '\t':
            return "\\t";
        case '\b':
            return "\\b";
        case '\f':
            return "\\f";
        default:
            break;
    }
    if (c < 0x20) return unicode_escape(c);
    if (!ascii || c < 0x7F) return {};
    if (c < 0x10000) return unicode_escape(c);
    return unicode_escape(0xD800 + ((c - 0x10000) >> 10)) + unicode_escape(0xDC00 + ((c - 0x10000) & 0x3FF));
}

class JsonWriter {
  public:
    JsonWriter(Runtime& runtime, const Style& style) : runtime_(runtime), style_(style) {}

    MarkedText take() { return std::move(out_); }

    void write(const Value& value) {
        const Runtime::Level level(runtime_);
        runtime_.step();
        if (const auto* text = as_text(value)) return write_text(*text);
        if (const auto* list = as_list(value); list != nullptr && list->is_plain())
            return write_list(list->items);
        if (const auto* dict = as_dict(value)) return write_dict(*dict);
        if (const auto scalar = scalar_text(value)) return add(*scalar);
        fail("a value of the type " + std::string(type_name(value)) + " cannot be written as JSON");
    }

  private:
    // All punctuation is untrusted: it is made from the shape of values, and no special token needs it.
    void add(std::string_view text) { out_.append(text, Trust::untrusted); }

    static std::optional<std::string> scalar_text(const Value& value) {
        if (is_none(value)) return "null";
        if (const auto* boolean = as<bool>(value)) return *boolean ? "true" : "false";
        if (const auto* integer = as<std::int64_t>(value)) return number_text(*integer);
        const auto* number = as<double>(value);
        if (number == nullptr) return std::nullopt;
        if (std::isnan(*number)) return "NaN";
        if (std::isinf(*number)) return *number < 0 ? "-Infinity" : "Infinity";
        return number_text(*number);
    }

    void write_text(const MarkedText& text) {
        runtime_.scan(text.size());
        runtime_.charge_memory(text.size());
        const std::string_view bytes = text.bytes();
        add("\"");
        for (std::size_t i = 0; i < bytes.size();) {
            const std::size_t size = character_size(bytes[i]);
            const std::string escape = escape_of(first_character(bytes.substr(i)), style_.ascii);
            out_.append(escape.empty() ? bytes.substr(i, size) : escape, text.trust_at(i));
            i += size;
        }
        add("\"");
    }

    void begin_line() {
        if (!style_.indented) return;
        add("\n");
        for (std::size_t i = 0; i < depth_; ++i) {
            runtime_.step();
            runtime_.copy(style_.indent.size());
            runtime_.charge_memory(style_.indent.size());
            out_.append(style_.indent);
        }
    }

    void begin_item(bool is_first) {
        runtime_.charge_memory(style_.item_separator.size());
        if (!is_first) out_.append(style_.item_separator);
        begin_line();
    }

    void write_list(const std::vector<Value>& items) {
        if (items.empty()) return add("[]");
        add("[");
        ++depth_;
        for (const Value& item : items) {
            begin_item(&item == &items.front());
            write(item);
        }
        --depth_;
        begin_line();
        add("]");
    }

    void write_dict(const Dict& dict) {
        if (dict.entries.empty()) return add("{}");
        std::vector<std::pair<Value, Value>> entries = dict.entries;
        if (style_.sorted) {
            std::ranges::stable_sort(entries, [&](const auto& a, const auto& b) {
                return compare_order(runtime_, a.first, b.first) < 0;
            });
        }
        add("{");
        ++depth_;
        for (const auto& [key, value] : entries) {
            begin_item(&key == &entries.front().first);
            if (const auto* text = as_text(key)) {
                write_text(*text);
            } else {
                add("\"" + scalar_text(key).value_or("") + "\"");
            }
            out_.append(style_.key_separator);
            write(value);
        }
        --depth_;
        begin_line();
        add("}");
    }

    Runtime& runtime_;
    const Style& style_;
    std::size_t depth_ = 0;
    MarkedText out_;
};

Style read_style(Runtime& runtime, const BoundArguments& arguments) {
    Style style;
    style.ascii = arguments.flag(0);
    style.sorted = arguments.flag(3);
    const Value indent = arguments.value_or(1, None{});
    style.indented = !is_none(indent);
    if (const auto* text = as_text(indent)) {
        style.indent = *text;
    } else if (const auto width = arguments.integer(1)) {
        const auto count = static_cast<std::size_t>(std::max<std::int64_t>(*width, 0));
        runtime.charge_memory(count);
        style.indent = MarkedText(std::string(count, ' '), Trust::untrusted);
    }
    style.item_separator = MarkedText(style.indented ? "," : ", ", Trust::untrusted);
    style.key_separator = MarkedText(": ", Trust::untrusted);
    const Value separators = arguments.value_or(2, None{});
    if (is_none(separators)) return style;
    const auto* pair = as_list(separators);
    if (pair == nullptr || pair->items.size() != 2 || as_text(pair->items[0]) == nullptr ||
        as_text(pair->items[1]) == nullptr)
        fail("the argument 'separators' of 'tojson' must be a pair of strings");
    style.item_separator = *as_text(pair->items[0]);
    style.key_separator = *as_text(pair->items[1]);
    return style;
}

}  // namespace

Value to_json(Runtime& runtime, const Value& value, const Arguments& arguments) {
    const BoundArguments bound("tojson", arguments, {"ensure_ascii", "indent", "separators", "sort_keys"});
    const Style style = read_style(runtime, bound);
    JsonWriter writer(runtime, style);
    writer.write(value);
    return runtime.text(writer.take());
}

}  // namespace solard::jinja
