#include "server/http/smuggling_rules.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>

#include "server/config/shown.hpp"
#include "server/config/text.hpp"

namespace solard::server {
namespace {

constexpr std::string_view line_end = "\r\n";

bool is_token_char(char c) {  // RFC 9110, section 5.6.2
    constexpr std::string_view others = "!#$%&'*+-.^_`|~";
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || others.find(c) != std::string_view::npos;
}

bool is_field_value_char(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 ? byte != 0x7f : c == '\t';
}

std::string_view trimmed(std::string_view value) {
    const auto first = value.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return value.substr(first, value.find_last_not_of(" \t") - first + 1);
}

// Returns true for a list of tokens that are separated by commas (RFC 9110, section 5.6.1).
bool is_token_list(std::string_view list) {
    while (!list.empty()) {
        const auto comma = std::min(list.find(','), list.size());
        const std::string_view entry = trimmed(list.substr(0, comma));
        if (!std::ranges::all_of(entry, is_token_char)) return false;
        list.remove_prefix(std::min(comma + 1, list.size()));
    }
    return true;
}

// Returns "host:port" of a target in absolute form, and an empty text for any other target.
std::string_view authority_of(std::string_view target) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!equal_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
        target.remove_prefix(scheme.size());
        return target.substr(0, target.find_first_of("/?"));
    }
    return {};
}

// The next two functions keep bytes which are left over from a body out of the log: what they accept is
// written in the forms that clients use.
bool looks_like_method(std::string_view text) {
    constexpr std::size_t max_method_bytes = 20;
    const auto is_method_char = [](char c) { return (c >= 'A' && c <= 'Z') || c == '-'; };
    return !text.empty() && text.size() <= max_method_bytes && std::ranges::all_of(text, is_method_char);
}

bool looks_like_target(std::string_view text) {
    return text.starts_with('/') || text == "*" || !authority_of(text).empty();
}

bool is_host_char(char c) {  // of host names, addresses and ports
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("-._~:[]%").find(c) != std::string_view::npos;
}

// The messages below name fields and bytes, but they never repeat a value, which may be an API key.
Error invalid(std::string_view problem) {
    return {errc::invalid_value, "The request is not valid HTTP/1.1: " + std::string(problem) + "."};
}

// Returns "the byte 0x0A".
std::string named_byte(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return std::string("the byte 0x") + hex_digits[byte >> 4] + hex_digits[byte & 15];
}

// Returns the problem with a field that the server reads, such as "the header 'Host' must be ...".
Error invalid_header(std::string_view name, std::string_view problem) {
    return invalid("the header '" + std::string(name) + "' " + std::string(problem));
}

// A line of the header block.
struct Line {
    std::string_view text;
    std::size_t begin = 0;  // offset in the header block

    // Returns " (byte 17 of the header)" for a character of the line.
    std::string place_of(std::size_t offset) const {
        return " (byte " + std::to_string(begin + offset) + " of the header)";
    }
};

// Returns the offset of the first character which has not the property, or nothing if all have it.
template <class Property>
std::optional<std::size_t> find_other(std::string_view text, Property property) {
    const auto found = std::ranges::find_if_not(text, property);
    if (found == text.end()) return std::nullopt;
    return static_cast<std::size_t>(found - text.begin());
}

// The parts of a request line.
struct RequestLine {
    std::string_view target;
    bool is_1_0 = false;
};

result<RequestLine> read_request_line(const Line& line) {
    const std::string_view text = line.text;
    if (const auto wrong = find_other(text, [](char c) { return is_field_value_char(c) && c != '\t'; }))
        return invalid("the request line contains " + named_byte(text[*wrong]) + line.place_of(*wrong));
    const auto method_end = text.find(' ');
    if (method_end == std::string_view::npos)
        return invalid("the request line has no target and no HTTP version");
    if (const auto wrong = find_other(text.substr(0, method_end), is_token_char))
        return invalid("the method contains " + named_byte(text[*wrong]) + line.place_of(*wrong));
    if (method_end == 0) return invalid("the request line does not begin with a method");
    const auto target_end = text.rfind(' ');
    if (target_end == method_end) return invalid("the request line has no HTTP version");
    const std::string_view target = text.substr(method_end + 1, target_end - method_end - 1);
    if (target.size() > max_target_bytes)
        return Error{errc::headers_too_large, "The request target is longer than 8 KiB."};
    if (target.empty() || target.find(' ') != std::string_view::npos)
        return invalid(
            "the request line must have three parts (method, target, version), separated by single spaces");
    const std::string_view version = text.substr(target_end + 1);
    if (version != "HTTP/1.1" && version != "HTTP/1.0")
        return invalid("the HTTP version must be HTTP/1.1 or HTTP/1.0" + line.place_of(target_end + 1));
    return RequestLine{.target = target, .is_1_0 = version == "HTTP/1.0"};
}

// The header fields that decide how the body is framed, where the request goes, and who may send it.
struct Fields {
    std::size_t count = 0;
    std::size_t num_hosts = 0;
    std::size_t num_origins = 0;
    std::size_t num_framings = 0;  // number of Content-Length and Transfer-Encoding fields
    std::string_view host;
    bool chunked = false;
};

// Checks the value of a field which decides how the request is read, and notes it in `fields`.
result<void> read_known_field(std::string_view name, std::string_view value, Fields& fields) {
    if (equal_ignoring_case(name, "host")) {
        ++fields.num_hosts;
        fields.host = value;
        if (const auto wrong = find_other(value, is_host_char))
            return invalid_header(
                "Host", "must be a host name or an address, but it contains " + named_byte(value[*wrong]));
    } else if (equal_ignoring_case(name, "origin")) {
        ++fields.num_origins;
    } else if (equal_ignoring_case(name, "content-length")) {
        ++fields.num_framings;
        std::uint64_t size = 0;
        const auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), size);
        if (ec != std::errc{} || end != value.data() + value.size())
            return invalid_header("Content-Length", "must be a whole number (digits only) below 2^64");
    } else if (equal_ignoring_case(name, "transfer-encoding")) {
        ++fields.num_framings;
        fields.chunked = true;
        if (!equal_ignoring_case(value, "chunked"))
            return invalid_header("Transfer-Encoding", "must be 'chunked'; no other coding is supported");
    } else if (equal_ignoring_case(name, "connection") || equal_ignoring_case(name, "proxy-connection")) {
        if (!is_token_list(value))
            return invalid_header(shown(name), "must be a list of words that are separated by commas");
    }
    return {};
}

result<void> read_field(const Line& line, Fields& fields) {
    if (++fields.count > max_header_fields)
        return Error{errc::headers_too_large, "The header of the request has more than " +
                                                  std::to_string(max_header_fields) + " fields."};
    const std::string_view text = line.text;
    const std::string field = "header field " + std::to_string(fields.count);
    if (text.starts_with(' ') || text.starts_with('\t'))
        return invalid(field + " begins with a blank" + line.place_of(0) +
                       "; a field must stand in one line");
    const auto colon = text.find(':');
    if (colon == std::string_view::npos)
        return invalid(field + line.place_of(0) + " has no colon after its name");
    const std::string_view name = text.substr(0, colon);
    if (name.empty()) return invalid(field + line.place_of(0) + " has no name before its colon");
    // This check also refuses white space before the colon.
    if (const auto wrong = find_other(name, is_token_char))
        return invalid("the name of " + field + " contains " + named_byte(name[*wrong]) +
                       line.place_of(*wrong));
    if (const auto wrong = find_other(text.substr(colon), is_field_value_char))
        return invalid_header(shown(name),
                              "contains " + named_byte(text[colon + *wrong]) + line.place_of(colon + *wrong));
    return read_known_field(name, trimmed(text.substr(colon + 1)), fields);
}

// Checks the fields which must not appear more than once, or not together.
result<void> check_fields(const Fields& fields, const RequestLine& request_line) {
    if (fields.num_hosts == 0 && !request_line.is_1_0) return invalid("the header 'Host' is missing");
    if (fields.num_hosts > 1) return invalid_header("Host", "must not be repeated");
    if (fields.num_origins > 1) return invalid_header("Origin", "must not be repeated");
    const std::string_view authority = authority_of(request_line.target);
    if (!authority.empty() && !equal_ignoring_case(authority, fields.host))
        return invalid("the target and the header 'Host' name different hosts");
    if (fields.num_framings > 1)
        return invalid("only one header 'Content-Length' or 'Transfer-Encoding' is allowed");
    if (fields.chunked && request_line.is_1_0)
        return invalid_header("Transfer-Encoding", "is not supported in HTTP/1.0");
    return {};
}

}  // namespace

result<void> check_header_block(std::string_view block) {
    Line line{.text = block.substr(0, block.find(line_end))};
    const auto request_line = read_request_line(line);
    if (!request_line) return request_line.error();
    Fields fields;
    for (;;) {
        line.begin += line.text.size() + line_end.size();
        const std::string_view rest = block.substr(line.begin);
        line.text = rest.substr(0, rest.find(line_end));
        if (line.text.empty()) return check_fields(fields, *request_line);
        if (auto fine = read_field(line, fields); !fine) return fine;
    }
}

PartialHead read_partial_head(std::string_view bytes) {
    PartialHead head;
    const auto first_end = bytes.find(line_end);
    const std::string_view first = bytes.substr(0, first_end);
    const std::string_view method = first.substr(0, first.find(' '));
    if (looks_like_method(method)) {
        const std::string_view rest = first.substr(std::min(method.size() + 1, first.size()));
        const auto is_target_char = [](char c) { return is_field_value_char(c) && c != ' ' && c != '\t'; };
        const std::string_view target =
            rest.substr(0, find_other(rest, is_target_char).value_or(rest.size()));
        head.method = method;
        if (looks_like_target(target)) head.target = target;
    }
    if (first_end == std::string_view::npos) return head;
    std::size_t num_origins = 0;
    for (std::size_t begin = first_end + line_end.size();;) {
        const auto end = bytes.find(line_end, begin);
        if (end == std::string_view::npos || end == begin)
            break;  // the rest is the start of a line, or a body
        const std::string_view line = bytes.substr(begin, end - begin);
        begin = end + line_end.size();
        const auto colon = line.find(':');
        if (colon == std::string_view::npos || !equal_ignoring_case(line.substr(0, colon), "origin"))
            continue;
        ++num_origins;
        const std::string_view value = trimmed(line.substr(colon + 1));
        head.origin = find_other(value, is_field_value_char) ? std::string_view() : value;
    }
    if (num_origins != 1) head.origin = {};
    return head;
}

std::string_view origin_form(std::string_view target) {
    const std::string_view authority = authority_of(target);
    if (authority.empty()) return target;
    target.remove_prefix(static_cast<std::size_t>(authority.data() - target.data()) + authority.size());
    return target.empty() ? "/" : target;
}

}  // namespace solard::server
