#include "server/http/document_response.hpp"

#include <utility>

namespace solard::server {

namespace asio = boost::asio;

asio::awaitable<void> send_document(HttpExchange& exchange, Document& document,
                                    std::function<bool()> reread) {
    std::string piece;
    document.render(piece, max_document_piece);
    if (document.empty()) {
        HttpResponse response;
        response.body = std::move(piece);
        co_return co_await exchange.respond(std::move(response));
    }
    co_await exchange.begin_stream("application/json", piece);
    if (exchange.request().method == "HEAD") co_return;
    while (!document.empty()) {
        if (!reread()) co_return exchange.abandon();
        piece.clear();
        document.render(piece, max_document_piece);
        co_await exchange.write(piece);
    }
    co_await exchange.end_stream();
}

}  // namespace solard::server
