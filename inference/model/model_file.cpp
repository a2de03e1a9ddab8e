#include "inference/model/model_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace solard {
namespace {

std::string system_message(int error) {
    return std::generic_category().message(error);
}

}  // namespace

Error bad_model(const std::filesystem::path& file, std::string_view what) {
    return {errc::bad_model, file.string().append(": ").append(what)};
}

ModelFile::ModelFile(std::filesystem::path path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

ModelFile::ModelFile(ModelFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(std::exchange(other.size_, 0)) {}

ModelFile& ModelFile::operator=(ModelFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(descriptor_, other.descriptor_);
    std::swap(size_, other.size_);
    return *this;
}

ModelFile::~ModelFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

result<ModelFile> ModelFile::open(std::filesystem::path path) {
    // With O_NONBLOCK, opening a pipe does not wait for its writer; the pipe is refused below.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return bad_model(path, "cannot be opened: " + system_message(errno));
    ModelFile file(std::move(path), descriptor);
    struct stat status{};
    if (::fstat(descriptor, &status) != 0) {
        return bad_model(file.path_, "cannot be examined: " + system_message(errno));
    }
    if (!S_ISREG(status.st_mode))
        return bad_model(file.path_, "is not a regular file, expected a regular file");
    file.size_ = static_cast<std::uint64_t>(status.st_size);
    return file;
}

result<void> ModelFile::read(std::uint64_t begin, std::span<std::byte> out) const {
    while (!out.empty()) {
        const ssize_t count = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(begin));
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return bad_model(path_, "cannot be read: " + system_message(errno));
        if (count == 0)
            return bad_model(path_, "ends at byte " + std::to_string(begin) + ", expected " +
                                        std::to_string(out.size()) + " more bytes");
        begin += static_cast<std::uint64_t>(count);
        out = out.subspan(static_cast<std::size_t>(count));
    }
    return {};
}

void ModelFile::drop_cache(std::uint64_t begin, std::uint64_t num_bytes) const {
    // This is only a hint: if the kernel ignores it, the data stay in the page cache and nothing else
    // changes.
    (void)::posix_fadvise(descriptor_, static_cast<off_t>(begin), static_cast<off_t>(num_bytes),
                          POSIX_FADV_DONTNEED);
}

result<std::string> read_model_file(const std::filesystem::path& path, std::uint64_t max_bytes) {
    const auto file = ModelFile::open(path);
    if (!file) return file.error();
    if (file->size() > max_bytes) {
        return bad_model(path, "has " + std::to_string(file->size()) + " bytes, expected at most " +
                                   std::to_string(max_bytes));
    }
    std::string text(file->size(), '\0');
    if (const auto done = file->read(0, std::as_writable_bytes(std::span(text))); !done) return done.error();
    return text;
}

}  // namespace solard
