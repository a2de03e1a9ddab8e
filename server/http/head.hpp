// Converts a header from Beast's form to the request that handlers see.
#pragma once

#include <boost/beast/http/message.hpp>
#include <cstdint>

#include "server/http/exchange.hpp"

namespace solard::server {

// Returns the request without its body and its caller, which the caller of this function fills in.
// `connection` is the number of the connection that it came on. The path is empty if its percent-encoding is
// broken or if it is not valid UTF-8.
HttpRequest plain_head(const boost::beast::http::request_header<>& header, std::uint64_t connection);

}  // namespace solard::server
