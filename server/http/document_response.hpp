// Sends a Document as the body of an answer.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>

#include "server/api/document.hpp"
#include "server/http/exchange.hpp"

namespace solard::server {

// The approximate size of a piece in bytes: a piece ends with the item that reaches this size. Rendering a
// piece takes well under a millisecond.
inline constexpr std::size_t max_document_piece = 64 << 10;

// Sends the document as JSON with status 200. A document of one piece has a Content-Length. A longer document
// is sent in pieces. After each piece except the last, other handlers run, and then `reread` is called. If
// `reread` returns false, the document can no longer be rendered, and the client sees an incomplete answer.
// Throws system_error if the client is gone. `document` must outlive the operation.
boost::asio::awaitable<void> send_document(HttpExchange& exchange, Document& document,
                                           std::function<bool()> reread);

}  // namespace solard::server
