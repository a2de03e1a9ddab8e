// Converts a header from Beast's form to the request that handlers see.
#pragma once

#include <boost/beast/http/message.hpp>
#include <cstdint>

#include "server/http/exchange.hpp"

namespace solard::server {

// Returns the request without `body` and `caller`, which are filled in later. `peer` is the sender of the
// request. The path is empty if its percent-encoding is broken; bytes of the path which are not valid UTF-8
// become U+FFFD.
HttpRequest plain_head(const boost::beast::http::request_header<>& header, const Peer& peer);

}  // namespace solard::server
