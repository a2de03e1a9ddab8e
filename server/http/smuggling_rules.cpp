#include "server/http/smuggling_rules.hpp"

#include <algorithm>
#include <cctype>
#include <string>

#include "server/config/text.hpp"

namespace solard::server {
namespace {

constexpr std::string_view line_end = "\r\n";
constexpr std::string_view three_parts =
    "the request line must have three parts (method, target, version), separated by single spaces";

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

// Returns "host:port" of a target in absolute form, and an empty text for any other target.
std::string_view authority_of(std::string_view target) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!equal_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
        target.remove_prefix(scheme.size());
        return target.substr(0, target.find_first_of("/?"));
    }
    return {};
}

// Returns true if `host` has only characters which can occur in host names, addresses and ports.
bool is_host(std::string_view host) {
    return std::ranges::all_of(host, [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
               std::string_view("-._~:[]%").find(c) != std::string_view::npos;
    });
}

Error invalid(std::string_view problem) {
    return {errc::invalid_value, "The request is not valid HTTP/1.1: " + std::string(problem) + "."};
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

result<void> read_field(std::string_view line, Fields& fields) {
    if (++fields.count > max_header_fields)
        return Error{errc::headers_too_large, "The header of the request has more than " +
                                                  std::to_string(max_header_fields) + " fields."};
    const auto colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    // This check also refuses folded lines, and white space before the colon.
    if (colon == std::string_view::npos || name.empty() || !std::ranges::all_of(name, is_token_char))
        return invalid("header field " + std::to_string(fields.count) + " is not of the form 'Name: value'");
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (!std::ranges::all_of(value, is_field_value_char))
        return invalid("header field " + std::to_string(fields.count) + " contains a control character");
    if (equal_ignoring_case(name, "host")) {
        ++fields.num_hosts;
        fields.host = value;
        if (!is_host(value)) return invalid("Host must be a host name or an address");
    } else if (equal_ignoring_case(name, "origin")) {
        ++fields.num_origins;
    } else if (equal_ignoring_case(name, "content-length")) {
        ++fields.num_framings;
        const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
        if (value.empty() || !std::ranges::all_of(value, is_digit))
            return invalid("Content-Length must consist of decimal digits only");
    } else if (equal_ignoring_case(name, "transfer-encoding")) {
        ++fields.num_framings;
        fields.chunked = true;
        if (!equal_ignoring_case(value, "chunked")) return invalid("Transfer-Encoding must be 'chunked'");
    }
    return {};
}

}  // namespace

result<void> check_header_block(std::string_view block) {
    const auto first_end = block.find(line_end);
    const std::string_view request_line = block.substr(0, first_end);
    if (!std::ranges::all_of(request_line, [](char c) { return is_field_value_char(c) && c != '\t'; }))
        return invalid("the request line contains a control character");
    const auto target_begin = request_line.find(' ') + 1;
    const auto target_end = request_line.rfind(' ');
    if (target_begin == 0 || target_end <= target_begin) return invalid(three_parts);
    const std::string_view target = request_line.substr(target_begin, target_end - target_begin);
    if (target.size() > max_target_bytes)
        return Error{errc::headers_too_large, "The request target is longer than 8 KiB."};
    if (target.find(' ') != std::string_view::npos) return invalid(three_parts);

    Fields fields;
    for (block.remove_prefix(first_end + 2); !block.starts_with(line_end);) {
        const auto end = block.find(line_end);
        if (auto fine = read_field(block.substr(0, end), fields); !fine) return fine;
        block.remove_prefix(end + 2);
    }
    const bool is_1_0 = request_line.ends_with("HTTP/1.0");
    if (fields.num_hosts > 1 || (fields.num_hosts == 0 && !is_1_0))
        return invalid("it must have exactly one Host field");
    if (fields.num_origins > 1) return invalid("it has more than one Origin field");
    const std::string_view authority = authority_of(target);
    if (!authority.empty() && !equal_ignoring_case(authority, fields.host))
        return invalid("the target and the Host field name different hosts");
    if (fields.num_framings > 1)
        return invalid("it has more than one Content-Length or Transfer-Encoding field");
    if (fields.chunked && is_1_0) return invalid("HTTP/1.0 does not support Transfer-Encoding");
    return {};
}

std::string_view origin_form(std::string_view target) {
    const std::string_view authority = authority_of(target);
    if (authority.empty()) return target;
    target.remove_prefix(static_cast<std::size_t>(authority.data() - target.data()) + authority.size());
    return target.empty() ? "/" : target;
}

}  // namespace solard::server
