#include "server/http/smuggling_rules.hpp"

#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>

namespace solard::server {
namespace {

using namespace std::string_literals;

const std::string get = "GET /v1/models HTTP/1.1\r\n";
const std::string post = "POST /tokenize HTTP/1.1\r\nHost: a\r\n";
const std::string host = "Host: a\r\n";

std::string repeated(std::string_view text, std::size_t count) {
    std::string all;
    for (std::size_t i = 0; i < count; ++i) all += text;
    return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(smuggling_rules)

BOOST_AUTO_TEST_CASE(header_that_can_be_read_in_one_way_only_is_accepted) {
    for (const std::string& block : {
             get + host,
             get + "hOsT: \t a \t\r\n",
             get + "Host: [::1]:8000\r\n",
             get + host + "X-Empty:\r\nX-Latin: \xff\r\nX-Tab: a\tb\r\n",
             "GET / HTTP/1.0\r\n"s,
             "GET http://A/v1/models HTTP/1.1\r\n" + host,
             post + "Content-Length: 007\r\n",
             post + "Transfer-Encoding: ChUnKeD\r\n",
             post + "Origin: https://b.example\r\n",
             post + "Connection: keep-alive, Upgrade,, HTTP2-Settings\r\nProxy-Connection:\r\n",
             post + "Content-Length: 18446744073709551615\r\n",
             get + host + repeated("X-A: b\r\n", max_header_fields - 1),
             "GET /" + std::string(max_target_bytes - 1, 'x') + " HTTP/1.1\r\n" + host,
         }) {
        const auto checked = check_header_block(block + "\r\n");
        BOOST_TEST(checked.has_value(), block << ": " << (checked ? "" : checked.error().message));
    }
}

BOOST_AUTO_TEST_CASE(header_that_could_be_read_in_two_ways_is_refused_with_its_reason) {
    struct Case {
        std::string block;
        std::string_view reason;  // a part of the message
    };
    for (const auto& [block, reason] : {
             Case{"GET\r\n" + host, "the request line has no target and no HTTP version."},
             Case{"GET /v1/models\r\n" + host, "the request line has no HTTP version."},
             Case{"GET /v1/models x HTTP/1.1\r\n" + host, "three parts"},
             Case{"GET  /v1/models HTTP/1.1\r\n" + host, "three parts"},
             Case{"GET  HTTP/1.1\r\n" + host, "three parts"},
             Case{" GET / HTTP/1.1\r\n" + host, "the request line does not begin with a method."},
             Case{"G(T / HTTP/1.1\r\n" + host, "the method contains the byte 0x28 (byte 1 of the header)."},
             Case{"GET / HTTP/2\r\n" + host,
                  "the HTTP version must be HTTP/1.1 or HTTP/1.0 (byte 6 of the header)."},
             Case{"GET / \r\n" + host, "the HTTP version must be"},
             Case{"GET\t/v1/models HTTP/1.1\r\n" + host,
                  "the request line contains the byte 0x09 (byte 3 of the header)."},
             Case{"GET /v1/models\x7f HTTP/1.1\r\n" + host,
                  "the request line contains the byte 0x7f (byte 14 of the header)."},
             Case{"GET / HTTP/1.1\n" + host,
                  "the request line contains the byte 0x0a (byte 14 of the header)."},
             Case{get + host + "X-A\r\n",
                  "header field 2 (byte 34 of the header) has no colon after its name."},
             Case{get + host + ": b\r\n",
                  "header field 2 (byte 34 of the header) has no name before its colon."},
             Case{get + "Host : a\r\n",
                  "the name of header field 1 contains the byte 0x20 (byte 29 of the header)."},
             Case{get + host + "X A: sk-secret\r\n",
                  "the name of header field 2 contains the byte 0x20 (byte 35 of the header)."},
             Case{get + host + "Authorization: Bearer\r\n sk-secret: c\r\n",
                  "header field 3 begins with a blank (byte 57 of the header); a field must stand in one "
                  "line."},
             Case{get + host + "X-A: b\nX-B: c\r\n",
                  "the header 'X-A' contains the byte 0x0a (byte 40 of the header)."},
             Case{get + host + "X-A: b\0c\r\n"s,
                  "the header 'X-A' contains the byte 0x00 (byte 40 of the header)."},
             Case{get + host + "Authorization: Bearer sk-secret\x01\r\n",
                  "the header 'Authorization' contains the byte 0x01 (byte 65 of the header)."},
             Case{get, "the header 'Host' is missing."},
             Case{get + host + host, "the header 'Host' must not be repeated."},
             Case{"GET / HTTP/1.0\r\n" + host + host, "the header 'Host' must not be repeated."},
             Case{get + "Host: a@b\r\n",
                  "the header 'Host' must be a host name or an address, but it contains the byte 0x40."},
             Case{"GET http://b/ HTTP/1.1\r\n" + host, "different hosts"},
             Case{"GET http://a:1/ HTTP/1.1\r\n" + host, "different hosts"},
             Case{post + "Origin: http://a\r\nOrigin: http://b\r\n",
                  "the header 'Origin' must not be repeated."},
             Case{post + "Content-Length: +1\r\n", "the header 'Content-Length' must be a whole number"},
             Case{post + "Content-Length: 1, 1\r\n", "the header 'Content-Length' must be a whole number"},
             Case{post + "Content-Length:\r\n", "the header 'Content-Length' must be a whole number"},
             Case{post + "Content-Length: 18446744073709551616\r\n", "below 2^64"},
             Case{post + "Content-Length: 1\r\nContent-Length: 1\r\n", "only one header 'Content-Length'"},
             Case{post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                  "only one header 'Content-Length'"},
             Case{post + "Transfer-Encoding: gzip, chunked\r\n",
                  "the header 'Transfer-Encoding' must be 'chunked'; no other coding is supported."},
             Case{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n",
                  "the header 'Transfer-Encoding' is not supported in HTTP/1.0."},
             Case{post + "Connection: keep alive\r\n", "the header 'Connection' must be a list of words"},
             Case{post + "proxy-connection: \"a\"\r\n", "the header 'proxy-connection' must be a list"},
         }) {
        const auto checked = check_header_block(block + "\r\n");
        BOOST_TEST(!checked.has_value(), block);
        if (checked) continue;
        BOOST_TEST((checked.error().code == errc::invalid_value), block);
        BOOST_TEST(checked.error().message.find(reason) != std::string::npos,
                   block << ": " << checked.error().message);
        BOOST_TEST(checked.error().message.find("secret") == std::string::npos, checked.error().message);
    }
}

BOOST_AUTO_TEST_CASE(error_repeats_at_most_200_bytes_of_a_field_name) {
    const auto checked = check_header_block(get + host + std::string(300, 'a') + ": b\x01\r\n\r\n");
    BOOST_TEST(checked.error().message.find("the header '" + std::string(197, 'a') + "...' contains") !=
               std::string::npos);
}

BOOST_AUTO_TEST_CASE(method_target_and_origin_are_known_of_a_header_that_is_not_valid) {
    struct Case {
        std::string bytes;
        std::string method;
        std::string_view target;
        std::string_view origin;
    };
    const std::string origin = "Origin: https://a.example\r\n";
    for (const auto& [bytes, method, target, known_origin] : {
             Case{get + host + origin + "X-A\r\n\r\n", "GET", "/v1/models", "https://a.example"},
             Case{get + "X A: b\r\n b\r\n:\r\noRIGIN:\thttps://a.example \r\n\r\n", "GET", "/v1/models",
                  "https://a.example"},
             Case{get + host + "Origin: https://a.exam", "GET", "/v1/models", ""},
             Case{get + origin + origin + "\r\n", "GET", "/v1/models", ""},
             Case{get + origin + "Origin: \r\n\r\n", "GET", "/v1/models", ""},
             Case{get + "Origin: https://a\r.example\r\n\r\n", "GET", "/v1/models", ""},
             Case{get + host + "\r\n" + origin + "\r\n", "GET", "/v1/models", ""},  // the body is no header
             Case{"GET /v1/models\n" + origin + "\r\n", "GET", "/v1/models", ""},
             Case{"GET /v1/models\0x HTTP/1.1\r\n"s + origin + "\r\n", "GET", "/v1/models",
                  "https://a.example"},
             Case{"GET /v1/mod", "GET", "/v1/mod", ""},
             Case{"GET /v1/models\r", "GET", "/v1/models", ""},
             Case{"GET ", "GET", "", ""},
             Case{"GET", "GET", "", ""},
             Case{"G\tT /v1/models HTTP/1.1\r\n" + origin, "", "", "https://a.example"},
             Case{"OPTIONS * HTTP/1.1", "OPTIONS", "*", ""},
             Case{"GET https://host/v1/models HTTP/1.1", "GET", "https://host/v1/models", ""},
             // The rest of a body is not shown as a method or a target.
             Case{"my /secret", "", "", ""},
             Case{"MY secret HTTP/1.1", "MY", "", ""},
             Case{std::string(20, 'A') + " /b", std::string(20, 'A'), "/b", ""},
             Case{std::string(21, 'A') + " /b", "", "", ""},
             Case{" /v1/models\r\n", "", "", ""},
             Case{"", "", "", ""},
             Case{"\r", "", "", ""},
             Case{"\r\n", "", "", ""},
         }) {
        const PartialHead head = read_partial_head(bytes);
        BOOST_TEST(head.method == method, bytes);
        BOOST_TEST(head.target == target, bytes);
        BOOST_TEST(head.origin == known_origin, bytes);
    }
}

BOOST_AUTO_TEST_CASE(header_that_is_too_large_is_refused) {
    for (const std::string& block : {
             get + host + repeated("X-A: b\r\n", max_header_fields),
             "GET /" + std::string(max_target_bytes, 'x') + " HTTP/1.1\r\n" + host,
         })
        BOOST_TEST((check_header_block(block + "\r\n").error().code == errc::headers_too_large),
                   block.substr(0, 60));
}

BOOST_AUTO_TEST_CASE(origin_form_removes_scheme_and_host) {
    BOOST_TEST(origin_form("/a?b") == "/a?b");
    BOOST_TEST(origin_form("http://host:80/a?b") == "/a?b");
    BOOST_TEST(origin_form("HTTPS://host/a") == "/a");
    BOOST_TEST(origin_form("http://host") == "/");
    BOOST_TEST(origin_form("*") == "*");
    BOOST_TEST(origin_form("ftp://host/a") == "ftp://host/a");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace solard::server
