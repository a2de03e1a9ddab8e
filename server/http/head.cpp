#include "server/http/head.hpp"

#include <algorithm>
#include <boost/beast/http/rfc7230.hpp>
#include <cctype>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "inference/text/utf8.hpp"
#include "server/config/text.hpp"
#include "server/http/smuggling_rules.hpp"

namespace solard::server {
namespace {

namespace http = boost::beast::http;

// Returns the percent-decoded path of the target (RFC 3986, section 2.1), or nothing if an escape is broken
// or encodes NUL. Bytes which are not valid UTF-8 become U+FFFD.
std::optional<std::string> decode_path(std::string_view target) {
    target = target.substr(0, target.find('?'));
    std::string path;
    const auto hex = [](char c) {
        if (c >= '0' && c <= '9') return c - '0';
        const int lower = c | 0x20;
        return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
    };
    for (std::size_t i = 0; i < target.size(); ++i) {
        if (target[i] != '%') {
            path += target[i];
            continue;
        }
        const int high = i + 2 < target.size() ? hex(target[i + 1]) : -1;
        const int low = i + 2 < target.size() ? hex(target[i + 2]) : -1;
        if (high < 0 || low < 0 || high + low == 0) return std::nullopt;
        path += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return valid_utf8(path);  // because error messages quote the path
}

// Joins the values of all fields with this name by commas, because a list may be spread over several fields
// (RFC 9110, section 5.3).
std::string joined_fields(const http::request_header<>& header, http::field name) {
    std::string joined;
    const auto fields = header.equal_range(name);
    for (auto it = fields.first; it != fields.second; ++it)
        joined.append(joined.empty() ? "" : ",").append(std::string_view(it->value()));
    return joined;
}

// Returns KEY for "Bearer KEY", and an empty text for anything else. The name of the scheme is not
// case-sensitive (RFC 9110, section 11.1).
std::string_view bearer_token(std::string_view authorization) {
    constexpr std::string_view scheme = "bearer ";
    if (!equal_ignoring_case(authorization.substr(0, scheme.size()), scheme)) return {};
    authorization.remove_prefix(scheme.size());
    authorization.remove_prefix(std::min(authorization.find_first_not_of(' '), authorization.size()));
    return authorization;
}

// The forms besides Authorization are those of Anthropic's and Azure's clients.
OfferedKeys offered_keys(const http::request_header<>& header) {
    OfferedKeys keys;
    const auto add = [&](std::string_view secret) {
        if (!secret.empty()) keys.secrets.emplace_back(secret);
    };
    for (const std::string_view name : {"authorization", "x-api-key", "api-key"})
        keys.has_repeated_header = keys.has_repeated_header || header.count(name) > 1;
    add(bearer_token(std::string_view(header[http::field::authorization])));
    add(std::string_view(header["x-api-key"]));
    add(std::string_view(header["api-key"]));
    return keys;
}

std::string lower_case(std::string text) {
    std::ranges::transform(text, text.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

std::optional<std::uint32_t> small_number(std::string_view text) {
    std::uint32_t number = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

}  // namespace

HttpRequest plain_head(const http::request_header<>& header, const Peer& peer) {
    HttpRequest request;
    request.method = std::string(header.method_string());
    request.path = decode_path(origin_form(std::string_view(header.target()))).value_or("");
    const std::string_view target(header.target());
    if (const auto mark = target.find('?'); mark != std::string_view::npos)
        request.query = target.substr(mark + 1);
    std::string_view type = header[http::field::content_type];
    type = type.substr(0, type.find(';'));
    while (type.ends_with(' ')) type.remove_suffix(1);
    request.content_type = lower_case(std::string(type));
    request.content_encoding = lower_case(joined_fields(header, http::field::content_encoding));
    request.host = std::string(header[http::field::host]);
    request.keys = offered_keys(header);
    request.origin = std::string(header[http::field::origin]);
    request.if_none_match = std::string(header[http::field::if_none_match]);
    const bool upgrades = http::token_list(header[http::field::connection]).exists("upgrade") &&
                          http::token_list(header[http::field::upgrade]).exists("websocket");
    if (upgrades && request.method == "GET" && header.version() == 11)
        request.websocket = WebSocketFields{std::string(header[http::field::sec_websocket_key]),
                                            std::string(header[http::field::sec_websocket_version]),
                                            joined_fields(header, http::field::sec_websocket_protocol)};
    request.accepts_gzip = http::token_list(header[http::field::accept_encoding]).exists("gzip");
    request.peer = peer;
    request.num_retries = small_number(header["x-stainless-retry-count"]);
    return request;
}

HttpRequest partial_head(std::string_view bytes, const Peer& peer) {
    const PartialHead known = read_partial_head(bytes);
    HttpRequest request;
    request.method = known.method;
    request.path = decode_path(origin_form(known.target)).value_or("");
    request.origin = known.origin;
    request.peer = peer;
    return request;
}

}  // namespace solard::server
