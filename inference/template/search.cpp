#include "inference/template/search.hpp"

#include <cstring>

namespace solard::jinja {

std::size_t find_text(Runtime& runtime, std::string_view text, std::string_view part, std::size_t begin) {
    runtime.step();
    const std::string_view rest = text.substr(begin);
    // The time of memmem() grows only with the sum of both sizes, also for texts which are made to be slow.
    const void* const found = ::memmem(rest.data(), rest.size(), part.data(), part.size());
    const std::size_t distance = found != nullptr
                                     ? static_cast<std::size_t>(static_cast<const char*>(found) - rest.data())
                                     : rest.size();
    runtime.copy(distance + part.size());
    return found != nullptr ? begin + distance : std::string_view::npos;
}

std::size_t find_last_text(Runtime& runtime, std::string_view text, std::string_view part) {
    // Each place can need a comparison of the whole part, so this is charged before.
    runtime.step(1 + text.size() / 16 * (part.size() / 64));
    const std::size_t found = text.rfind(part);
    runtime.scan(found != std::string_view::npos ? text.size() - found : text.size());
    return found;
}

}  // namespace solard::jinja
