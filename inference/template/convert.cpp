#include "inference/template/convert.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "inference/template/characters.hpp"

namespace solard::jinja {
namespace {

std::string hexadecimal(char32_t code, std::size_t digits) {
    std::string text(digits, '0');
    for (std::size_t i = digits; i > 0; --i, code >>= 4) text[i - 1] = "0123456789abcdef"[code & 15];
    return text;
}

void append_escaped(std::string& out, char32_t c) {
    if (c == '\n') {
        out += "\\n";
    } else if (c == '\r') {
        out += "\\r";
    } else if (c == '\t') {
        out += "\\t";
    } else if (c < 0x100) {
        out += "\\x" + hexadecimal(c, 2);
    } else if (c < 0x10000) {
        out += "\\u" + hexadecimal(c, 4);
    } else {
        out += "\\U" + hexadecimal(c, 8);
    }
}

// Writes values as Python's repr() does.
class Writer {
  public:
    explicit Writer(Runtime& runtime) : runtime_(runtime) {}

    MarkedText take() { return std::move(out_); }

    void write(const Value& value) {
        const Runtime::Level level(runtime_);
        runtime_.step();
        if (const auto* text = as_text(value)) return write_text(*text);
        if (const auto* list = as_list(value)) return write_list(*list);
        if (const auto* dict = as_dict(value)) return write_dict(*dict);
        if (is_undefined(value)) return add("Undefined");
        const MarkedText& text = to_text(runtime_, value);
        out_.append(text);
    }

  private:
    void add(std::string_view text) { out_.append(text, Trust::untrusted); }

    void write_text(const MarkedText& text) {
        runtime_.scan(text.size());
        runtime_.charge_memory(text.size());
        const std::string_view bytes = text.bytes();
        const bool has_single = bytes.find('\'') != std::string_view::npos;
        const char quote = has_single && bytes.find('"') == std::string_view::npos ? '"' : '\'';
        add(std::string_view(&quote, 1));
        for (std::size_t i = 0; i < bytes.size();) {
            const std::size_t size = character_size(bytes[i]);
            const char32_t c = first_character(bytes.substr(i));
            std::string escaped;
            if (c == '\\' || c == static_cast<unsigned char>(quote)) {
                (escaped += '\\') += static_cast<char>(c);
            } else if (!is_printable(c)) {
                append_escaped(escaped, c);
            }
            out_.append(escaped.empty() ? bytes.substr(i, size) : escaped, text.trust_at(i));
            i += size;
        }
        add(std::string_view(&quote, 1));
    }

    void write_list(const List& list) {
        if (!list.is_plain())
            fail("a value of the type " + std::string(type_name(&list)) +
                 " cannot be printed; use the filter 'list'");
        const bool is_tuple = list.kind == List::Kind::tuple;
        add(is_tuple ? "(" : "[");
        for (std::size_t i = 0; i < list.items.size(); ++i) {
            if (i > 0) add(", ");
            write(list.items[i]);
        }
        if (is_tuple && list.items.size() == 1) add(",");
        add(is_tuple ? ")" : "]");
    }

    void write_dict(const Dict& dict) {
        add("{");
        for (std::size_t i = 0; i < dict.entries.size(); ++i) {
            if (i > 0) add(", ");
            write(dict.entries[i].first);
            add(": ");
            write(dict.entries[i].second);
        }
        add("}");
    }

    Runtime& runtime_;
    MarkedText out_;
};

const MarkedText empty_text;

}  // namespace

std::string_view type_name(const Value& value) {
    constexpr std::array<std::string_view, 11> names{
        "undefined", "none", "bool", "int", "float", "str", "list", "dict", "namespace", "loop", "function"};
    constexpr std::array<std::string_view, 5> list_names{"list", "tuple", "range", "view", "generator"};
    const auto* list = as_list(value);
    if (list != nullptr) return list_names.at(static_cast<std::size_t>(list->kind));
    return names.at(value.index());
}

const MarkedText& to_text(Runtime& runtime, const Value& value) {
    if (const auto* text = as_text(value)) return *text;
    if (is_undefined(value)) return empty_text;
    const auto make = [&](std::string bytes) -> const MarkedText& {
        return *as_text(runtime.untrusted_text(std::move(bytes)));
    };
    if (is_none(value)) return make("None");
    if (const auto* boolean = as<bool>(value)) return make(*boolean ? "True" : "False");
    if (const auto* integer = as<std::int64_t>(value)) return make(number_text(*integer));
    if (const auto* number = as<double>(value)) return make(number_text(*number));
    if (as_list(value) == nullptr && as_dict(value) == nullptr)
        fail("a value of the type " + std::string(type_name(value)) + " cannot be printed");
    Writer writer(runtime);
    writer.write(value);
    return *as_text(runtime.text(writer.take()));
}

std::string number_text(std::int64_t number) {
    return std::to_string(number);
}

std::string number_text(double number) {
    if (std::isnan(number)) return "nan";
    if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
    std::array<char, 64> buffer;
    const auto scientific =
        std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, std::chars_format::scientific);
    const std::string_view text(buffer.data(), scientific.ptr);
    int exponent = 0;
    const auto e = text.find('e');
    const std::size_t digits = e + (text[e + 1] == '+' ? 2 : 1);
    std::from_chars(text.data() + digits, text.data() + text.size(), exponent);
    if (exponent < -4 || exponent >= 16) return std::string(text);
    std::array<char, 64> plain;
    const auto fixed =
        std::to_chars(plain.data(), plain.data() + plain.size(), number, std::chars_format::fixed);
    std::string result(plain.data(), fixed.ptr);
    if (result.find('.') == std::string::npos) result += ".0";
    return result;
}

}  // namespace solard::jinja
