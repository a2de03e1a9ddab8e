// Files of the source tree that are compiled into the program.
#pragma once

#include <string_view>

namespace solard::server {

std::string_view license_text();  // LICENSE
std::string_view openapi_text();  // server/api/openapi.json

}  // namespace solard::server
