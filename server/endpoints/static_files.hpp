#pragma once

#include <span>
#include <string_view>

namespace solard::server {

/// One file of the browser page. All members point into the program itself and stay valid.
struct StaticFile {
    std::string_view path;          ///< request path, exact: "/" for the page, "/assets/NAME" for the rest
    std::string_view content_type;  ///< value of Content-Type
    std::string_view etag;  ///< value of ETag, weak: it changes with the content and is shared by both forms
    std::string_view raw;   ///< the bytes
    std::string_view gzip;  ///< the same bytes with Content-Encoding gzip; empty if that is no shorter
};

/// The files that web/ compiled into this program, sorted by path; any thread. Always holds "/". Names under
/// "/assets/" contain a hash of their content, so those may be cached for ever; "/" must be revalidated.
std::span<const StaticFile> static_files();

}  // namespace solard::server
