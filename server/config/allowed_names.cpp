#include "server/config/allowed_names.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>

namespace solard::server {
namespace {

// Returns true for a number from 1 to 65535 without a leading zero.
bool is_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    return ec == std::errc{} && end == text.data() + text.size() && !text.starts_with('0');
}

}  // namespace

bool is_host_name(std::string_view name) {
    return !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_';
    });
}

std::optional<std::string> normal_origin(std::string_view origin) {
    if (origin == "*") return std::string(origin);
    if (origin.ends_with('/')) origin.remove_suffix(1);
    std::string text(origin);
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const auto scheme_end = text.find("://");
    if (scheme_end == std::string::npos || !is_host_name(text.substr(0, scheme_end))) return std::nullopt;
    // Browsers send the origin of the page, which is https:// or http://, for a WebSocket too.
    if (text.starts_with("ws://") || text.starts_with("wss://")) return std::nullopt;
    const auto host_begin = scheme_end + 3;
    const auto bracket = text.find(']', host_begin);  // the end of an IPv6 address
    const auto colon = text.find(':', bracket == std::string::npos ? host_begin : bracket);
    const std::string host = text.substr(host_begin, colon - host_begin);
    const bool is_address = host.starts_with('[') && host.ends_with(']') &&
                            host.find_first_not_of(":.0123456789abcdef", 1) == host.size() - 1;
    if (!is_address && !is_host_name(host)) return std::nullopt;
    if (colon == std::string::npos) return text;
    const std::string port = text.substr(colon + 1);
    if (!is_port(port)) return std::nullopt;
    const bool is_default =
        (text.starts_with("http://") && port == "80") || (text.starts_with("https://") && port == "443");
    return is_default ? text.substr(0, colon) : text;
}

}  // namespace solard::server
