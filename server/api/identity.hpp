// The id, model and time that every generated answer carries.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace solard::server {

struct AnswerIdentity {
    std::string id;  // "chatcmpl-..."
    std::string model;
    std::int64_t created = 0;  // Unix seconds
};

// Returns a new identity whose id begins with `prefix` (such as "chatcmpl-") and whose time is now.
AnswerIdentity make_identity(std::string_view prefix, std::string model);

}  // namespace solard::server
