// From a header as Beast holds it to the request that handlers see.
#pragma once

#include <boost/beast/http/message.hpp>
#include <cstdint>

#include "server/http/exchange.hpp"

namespace solard::server {

// All of the request but its body and caller. `connection` is the number of the one it came on.
HttpRequest plain_head(const boost::beast::http::request_header<>& header, std::uint64_t connection);

}  // namespace solard::server
