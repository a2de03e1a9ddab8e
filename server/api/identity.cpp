#include "server/api/identity.hpp"

#include <chrono>
#include <utility>

#include "server/config/random_bits.hpp"

namespace solard::server {

AnswerIdentity make_identity(std::string_view prefix, std::string model) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return {.id = std::string(prefix) + random_hex(),
            .model = std::move(model),
            .created = std::chrono::duration_cast<std::chrono::seconds>(now).count()};
}

}  // namespace solard::server
