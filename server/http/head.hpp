// Converts a header from Beast's form to the request that handlers see.
#pragma once

#include <boost/beast/http/message.hpp>
#include <cstdint>
#include <string_view>

#include "server/http/exchange.hpp"

namespace solard::server {

// Returns the request without `body` and `caller`, which are filled in later. `peer` is the sender of the
// request. The path is empty if its percent-encoding is broken; bytes of the path which are not valid UTF-8
// become U+FFFD.
HttpRequest plain_head(const boost::beast::http::request_header<>& header, const Peer& peer);

// Returns method, path and origin of a request whose header is incomplete or malformed, as far as they are
// known. `bytes` begins with the request line.
HttpRequest partial_head(std::string_view bytes, const Peer& peer);

}  // namespace solard::server
