// solard_embed FOLDER OUTPUT.cpp: writes every file under FOLDER as bytes in a C++ source that defines
// static_files().
//
// The bytes are written as string literals, because g++ compiles string literals several times faster than
// array initialisers.

#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (!file) throw std::runtime_error("cannot read " + path.string());
    return bytes;
}

std::string_view content_type(const fs::path& path) {
    static const std::map<std::string, std::string_view> types{
        {".html", "text/html; charset=utf-8"}, {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},   {".svg", "image/svg+xml"},
        {".map", "application/json"},
    };
    const auto found = types.find(path.extension().string());
    if (found == types.end())
        throw std::runtime_error("no content type is known for the file extension of " + path.string());
    return found->second;
}

// Compresses with a fixed level and no time stamp, so that the same files always produce the same source.
std::string gzip(std::string bytes) {
    z_stream stream{};
    constexpr int gzip_format = 15 + 16;
    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, gzip_format, 9, Z_DEFAULT_STRATEGY) != Z_OK) {
        throw std::runtime_error("zlib failed to initialise");
    }
    std::string packed(deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
    stream.next_in = reinterpret_cast<Bytef*>(bytes.data());
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    const int status = deflate(&stream, Z_FINISH);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    if (status != Z_STREAM_END) throw std::runtime_error("zlib failed to compress a file");
    return packed;
}

// Returns a 64-bit FNV-1a hash as an ETag. It is a weak ETag, because the raw and the compressed bytes share
// it.
std::string etag(std::string_view bytes) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    char text[24];
    std::snprintf(text, sizeof text, "W/\"%016llx\"", static_cast<unsigned long long>(hash));
    return text;
}

// Writes `std::string_view("...", size)` with one line of source for every 100 bytes.
void write_bytes(std::ostream& out, std::string_view bytes) {
    constexpr std::size_t line = 100;
    out << "std::string_view(";
    for (std::size_t start = 0; start == 0 || start < bytes.size(); start += line) {
        out << "\n        \"";
        for (const char byte : bytes.substr(start, line)) {
            const auto code = static_cast<unsigned char>(byte);
            const bool plain = code >= ' ' && code <= '~' && byte != '"' && byte != '\\' && byte != '?';
            // An escape always has three octal digits, so that a digit after it does not become a part of it.
            const char octal[] = {'\\', static_cast<char>('0' + (code >> 6)),
                                  static_cast<char>('0' + ((code >> 3) & 7)),
                                  static_cast<char>('0' + (code & 7))};
            out << (plain ? std::string_view(&byte, 1) : std::string_view(octal, sizeof octal));
        }
        out << '"';
    }
    out << ", " << bytes.size() << ")";
}

void write_source(std::ostream& out, const fs::path& folder) {
    std::map<std::string, std::string> files;  // request path → bytes, sorted for a reproducible source
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
        if (!entry.is_regular_file()) continue;
        const auto path = "/" + entry.path().lexically_relative(folder).generic_string();
        files[path == "/index.html" ? "/" : path] = read(entry.path());
    }
    if (!files.contains("/")) throw std::runtime_error("there is no index.html in " + folder.string());

    out << "// Made by solard_embed from the bundled page.\n"
           "#include \"server/endpoints/static_files.hpp\"\n\n"
           "namespace solard::server {\nnamespace {\n\nconst StaticFile files[] = {\n";
    for (const auto& [path, bytes] : files) {
        const auto packed = gzip(bytes);
        out << "    {\"" << path << "\", \"" << content_type(path == "/" ? "index.html" : path) << "\", ";
        out << "R\"(" << etag(bytes) << ")\",\n     ";
        write_bytes(out, bytes);
        out << ",\n     ";
        write_bytes(out, packed.size() < bytes.size() ? packed : std::string_view{});
        out << "},\n";
    }
    out << "};\n\n}  // namespace\n\nstd::span<const StaticFile> static_files() { return files; }\n\n"
           "}  // namespace solard::server\n";
}

}  // namespace

int main(int argc, char** argv) try {
    if (argc != 3) {
        std::cerr << "usage: solard_embed FOLDER OUTPUT.cpp\n";
        return 2;
    }
    std::ofstream out(argv[2], std::ios::binary);
    write_source(out, argv[1]);
    out.close();
    if (!out) throw std::runtime_error(std::string("cannot write ") + argv[2]);
    return 0;
} catch (const std::exception& error) {
    std::cerr << "solard_embed: " << error.what() << '\n';
    return 1;
}
