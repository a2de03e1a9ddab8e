// The program's version, set by the build.
#pragma once

#include <string_view>

namespace solard::server {

inline constexpr std::string_view version_text = SOLARD_VERSION;

}  // namespace solard::server
