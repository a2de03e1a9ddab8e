// From what a client asked to what the engine gets.
#pragma once

#include <cstdint>
#include <vector>

#include "inference/request.hpp"
#include "server/api/sampling_fields.hpp"

namespace solard {

class App;

// Defaults by the model, principal by the connection, deadlines from now. The engine is ready. Errors:
// invalid_value, naming the field.
result<Request> build_request(const App& app, const SamplingFields& sampling, std::uint64_t connection,
                              std::vector<TokenId> prompt, std::int32_t max_tokens);

// Choices of one request that the server can run together; `n` is at most that.
std::int32_t max_choices_together(const App& app);

}  // namespace solard
