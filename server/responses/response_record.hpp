// One response of /v1/responses, and the memory which it holds.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "inference/model/chat_template.hpp"
#include "server/api/response_object.hpp"
#include "server/generation/engine_client.hpp"

namespace solard::server {

// One response from its creation until it is forgotten. I/O thread only.
struct ResponseRecord {
    std::uint64_t owner = 0;         // 1 + index of the key that has access; 0: all callers without a key
    std::uint64_t memory_owner = 0;  // the owner in WaitingMemory to which the memory is charged
    ResponseFacts facts;
    std::vector<ChatMessage> conversation;  // the messages of the prompt, without the instructions
    std::size_t prompt_tokens = 0;
    std::shared_ptr<GenerationLog> log;
    std::optional<Generation> running;                // empty after the end; reset() cancels the generation
    std::size_t num_followers = 0;                    // existing ResponseFollower objects
    std::chrono::steady_clock::time_point left_at{};  // when the last follower left

    ResponseState state() const;
};
using ResponsePtr = std::shared_ptr<ResponseRecord>;

// Returns how many bytes of the heap the request holds; sizeof(request) is not included.
std::size_t heap_bytes(const ResponseRequest& request);
// Returns how many bytes the record holds. Includes the record itself, but not its log.
std::size_t record_bytes(const ResponseRecord& record);

// Frees the fields of an admitted request which the response object does not repeat: the engine has a copy of
// the sampling fields, and the conversation contains the input.
void release_engine_fields(ResponseRequest& request);
// Frees memory which only a running response needs. The log must be terminal.
void release_after_end(ResponseRecord& record);

}  // namespace solard::server
