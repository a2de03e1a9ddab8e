// Renders a whole Document with a single call.
#pragma once

#include <cstdint>
#include <string>

#include "server/api/document.hpp"

namespace solard::server {

inline std::string rendered(Document document) {
    std::string text;
    document.render(text, SIZE_MAX);
    return text;
}

}  // namespace solard::server
