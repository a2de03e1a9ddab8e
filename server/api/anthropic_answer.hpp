// Writes the answers and the errors of Anthropic's Messages API, without a socket.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "server/api/answer_json.hpp"
#include "server/config/error.hpp"

namespace solard::server {

// Writes Anthropic's message, whole or as events. There is one output.
class MessagesAnswerWriter final : public AnswerWriter {
  public:
    explicit MessagesAnswerWriter(AnswerContext context) : AnswerWriter(std::move(context)) {}
    void append_chunks(std::string& out, const LogDelta& delta, const Usage& usage) override;
    void append_usage_chunk(std::string&, const Usage&) const override {}  // the last events have the usage
    void append_end(std::string&) const override {}                        // so does the end of the stream
    void append_error(std::string& out, const Error& error) const override;
    Document whole(std::span<const LogDelta> outputs, const Usage& usage) const override;

  private:
    void begin_block(std::string& out, const LogDelta& delta);
    void end_block(std::string& out);
    void append_delta(std::string& out, const LogDelta& delta) const;

    bool has_begun_ = false;
    std::ptrdiff_t block_ = -1;  // the block that is open, or the last one
    bool is_open_ = false;
};

// Returns true for the paths whose errors have Anthropic's form.
bool is_messages_path(std::string_view path);
// Returns {"type":"error","error":{"type","message"},"request_id"}.
std::string messages_error_body(const Error& error, std::string_view request_id);
// Returns {"input_tokens":..}.
std::string messages_count_json(std::size_t num_tokens);

}  // namespace solard::server
