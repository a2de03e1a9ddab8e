// GET / and GET /assets/*: the page, which is compiled into the program.
#include <algorithm>

#include "server/config/shown.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/endpoints/static_files.hpp"
#include "server/http/error_response.hpp"

namespace solard::server {

namespace asio = boost::asio;

namespace {

HttpResponse file_response(const HttpRequest& request) {
    const auto files = static_files();
    const auto it = std::ranges::find(files, std::string_view(request.path), &StaticFile::path);
    if (it == files.end())
        return error_response({errc::not_found, "There is no file " + shown(request.path) + "."});
    HttpResponse response;
    response.content_type = it->content_type;
    // The name of an asset contains a hash of its content. The page itself must be revalidated each time.
    const bool hashed = it->path != "/";
    response.fields.emplace_back("Cache-Control",
                                 hashed ? "public, max-age=31536000, immutable" : "no-cache");
    response.fields.emplace_back("ETag", it->etag);
    response.fields.emplace_back("Vary", "Accept-Encoding");
    if (request.if_none_match == it->etag) {
        response.status = 304;
        return response;
    }
    const bool gzip = request.accepts_gzip && !it->gzip.empty();
    if (gzip) response.fields.emplace_back("Content-Encoding", "gzip");
    response.body = gzip ? it->gzip : it->raw;
    return response;
}

}  // namespace

asio::awaitable<void> handle_static_file(HttpExchange& exchange) {
    auto response = file_response(exchange.request());
    co_await exchange.respond(std::move(response));
}

}  // namespace solard::server
