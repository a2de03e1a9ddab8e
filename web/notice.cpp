// The notice that replaces the page in a build with -DSOLARD_WEB=OFF.

#include "server/endpoints/static_files.hpp"

namespace solard::server {
namespace {

constexpr std::string_view page = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>solard</title>
<h1>solard</h1>
<p>This server was built without its web page (<code>-DSOLARD_WEB=OFF</code>). The API is served under <code>/v1</code>:
<a href="/v1/models">/v1/models</a>, <a href="/v1/metadata">/v1/metadata</a>, <code>POST /v1/chat/completions</code>.</p>
</html>
)";

constexpr StaticFile files[] = {{"/", "text/html; charset=utf-8", R"(W/"notice-1")", page, {}}};

}  // namespace

std::span<const StaticFile> static_files() {
    return files;
}

}  // namespace solard::server
