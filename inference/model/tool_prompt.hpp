// Conversations with tools, for chat templates which know no tools.
#pragma once

#include <boost/json/array.hpp>
#include <span>
#include <vector>

#include "inference/model/chat_message.hpp"

namespace solard {

// Returns the conversation with the tools, the calls and the results of calls as text of its messages, which
// then have the roles system, user and assistant only. `tools` has an object for each tool and may be empty.
// The calls have the form hermes_form.
std::vector<ChatMessage> with_tools_as_text(std::span<const ChatMessage> messages,
                                            const boost::json::array& tools);

}  // namespace solard
