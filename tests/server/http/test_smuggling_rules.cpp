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
             Case{"GET /v1/models\r\n" + host, "three parts"},
             Case{"GET /v1/models x HTTP/1.1\r\n" + host, "three parts"},
             Case{"GET  /v1/models HTTP/1.1\r\n" + host, "three parts"},
             Case{"GET\t/v1/models HTTP/1.1\r\n" + host, "request line contains a control character"},
             Case{"GET /v1/models\x7f HTTP/1.1\r\n" + host, "request line contains a control character"},
             Case{get + host + "X-A\r\n", "header field 2 is not of the form"},
             Case{get + host + ": b\r\n", "header field 2 is not of the form"},
             Case{get + "Host : a\r\n", "header field 1 is not of the form"},
             Case{get + host + "X-A: b\r\n folded: c\r\n", "header field 3 is not of the form"},
             Case{get + host + "X-A: b\nX-B: c\r\n", "header field 2 contains a control character"},
             Case{get + host + "X-A: b\0c\r\n"s, "header field 2 contains a control character"},
             Case{get, "exactly one Host"},
             Case{get + host + host, "exactly one Host"},
             Case{"GET / HTTP/1.0\r\n" + host + host, "exactly one Host"},
             Case{get + "Host: a@b\r\n", "Host must be a host name"},
             Case{"GET http://b/ HTTP/1.1\r\n" + host, "different hosts"},
             Case{"GET http://a:1/ HTTP/1.1\r\n" + host, "different hosts"},
             Case{post + "Origin: http://a\r\nOrigin: http://b\r\n", "more than one Origin"},
             Case{post + "Content-Length: +1\r\n", "Content-Length must consist"},
             Case{post + "Content-Length:\r\n", "Content-Length must consist"},
             Case{post + "Content-Length: 1\r\nContent-Length: 1\r\n", "more than one Content-Length"},
             Case{post + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                  "more than one Content-Length"},
             Case{post + "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding must be 'chunked'"},
             Case{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", "HTTP/1.0 does not support"},
         }) {
        const auto checked = check_header_block(block + "\r\n");
        BOOST_TEST(!checked.has_value(), block);
        if (checked) continue;
        BOOST_TEST((checked.error().code == errc::invalid_value), block);
        BOOST_TEST(checked.error().message.find(reason) != std::string::npos,
                   block << ": " << checked.error().message);
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
