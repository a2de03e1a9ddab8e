// GET / and /assets/*: the page that was compiled into the program.
#include <algorithm>

#include "server/api/error.hpp"
#include "server/endpoints/handlers.hpp"
#include "server/endpoints/static_files.hpp"
#include "server/http/error_response.hpp"

namespace solard::server {

namespace asio = boost::asio;

namespace {

HttpResponse file_response(const HttpRequest& request) {
    const auto files = static_files();
    const auto it = std::ranges::find(files, std::string_view(request.path), &StaticFile::path);
    if (it == files.end()) return error_response({errc::not_found, "There is no file " + request.path + "."});
    HttpResponse response;
    response.content_type = it->content_type;
    // Names of assets carry a hash of their content; the page itself is asked for anew each time.
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
