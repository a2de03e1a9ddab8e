#include "server/api/answer_json.hpp"

#include <algorithm>

#include "server/api/error.hpp"
#include "server/api/json.hpp"

namespace solard::server {

void AnswerWriter::append_error(std::string& out, const Error& error) const {
    out.append("data: ").append(error_body(error)).append("\n\n");
}

std::string_view name_of(FinishReason reason) {
    return reason == FinishReason::length ? "length" : "stop";
}

void append_identity(std::string& out, const AnswerIdentity& identity, std::string_view object) {
    out += R"({"id":)";
    append_json_string(out, identity.id);
    out.append(R"(,"object":")").append(object).append(R"(","created":)");
    append_json_number(out, identity.created);
    out += R"(,"model":)";
    append_json_string(out, identity.model);
}

void append_usage(std::string& out, const Usage& usage) {
    out += R"({"prompt_tokens":)";
    append_json_number(out, static_cast<std::int64_t>(usage.prompt_tokens));
    out += R"(,"completion_tokens":)";
    append_json_number(out, static_cast<std::int64_t>(usage.completion_tokens));
    out += R"(,"total_tokens":)";
    append_json_number(out, static_cast<std::int64_t>(usage.prompt_tokens + usage.completion_tokens));
    out += R"(,"prompt_tokens_details":{"cached_tokens":)";
    append_json_number(out, std::int64_t{usage.cached_tokens});
    out += "}}";
}

std::string_view chat_finish_reason(const LogDelta& delta) {
    const bool has_calls = std::ranges::any_of(delta.items, &AnswerItem::is_call);
    return has_calls && delta.finish == FinishReason::stop ? "tool_calls" : name_of(delta.finish);
}

void append_finish(std::string& out, std::string_view reason, const LogDelta& delta,
                   std::span<const std::string> stops) {
    out.append(R"("finish_reason":")").append(reason).append(R"(","stop_reason":)");
    if (delta.stop.index >= 0) {
        append_json_string(out, stops[static_cast<std::size_t>(delta.stop.index)]);
    } else if (delta.stop.token >= 0) {
        append_json_number(out, std::int64_t{delta.stop.token});
    } else {
        out += "null";
    }
}

}  // namespace solard::server
