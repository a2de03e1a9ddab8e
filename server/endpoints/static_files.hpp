#pragma once

#include <span>
#include <string_view>

namespace solard::server {

/// One file of the browser page. All members point into the program itself and stay valid.
struct StaticFile {
    std::string_view path;          ///< request path, exact: "/" for the page, "/assets/NAME" for the rest
    std::string_view content_type;  ///< value of Content-Type
    std::string_view etag;  ///< value of ETag; changes with the content; is weak, because both forms share it
    std::string_view raw;   ///< the bytes
    std::string_view gzip;  ///< the same bytes with Content-Encoding gzip; empty if they are not shorter
};

/// Returns the files of web/ that are compiled into this program, sorted by path. "/" is always one of them.
/// Any thread may call this function. A name under "/assets/" contains a hash of the file's content, so the
/// file may be cached for ever; "/" must be revalidated.
std::span<const StaticFile> static_files();

}  // namespace solard::server
